import type { Reason } from '../call.ts';

const NAME = /^[A-Za-z0-9_.:<>/-]{1,256}$/;
const NAME_LENGTH_MAX = 256;

/**
 * Why a tool name is refused, or null. A name has 1–256 characters of `A–Z a–z 0–9 _ . : < > / -`
 * and nothing else: a homoglyph, a zero-width or a fullwidth character would look like, or fold
 * to, another tool's name, so such names are refused and never matched.
 */
export function checkToolName(name: string): Reason | null {
  if (NAME.test(name)) return null;
  return { rule: 'tool', code: 'ENF_CALL_TOOL_NAME', message: problemOf(name) };
}

/** The form in which names are compared: rules do not distinguish case. For valid names only. */
export function foldToolName(name: string): string {
  return name.toLowerCase();
}

function problemOf(name: string): string {
  if (name.length === 0) return 'the tool name is empty';
  if (name.length > NAME_LENGTH_MAX) {
    return `the tool name has ${name.length} characters, at most ${NAME_LENGTH_MAX} are allowed`;
  }
  const folded = name.normalize('NFKC').replace(INVISIBLE, '');
  if (folded !== name && NAME.test(folded)) {
    return `the tool name ${quote(name)} only looks like \`${folded}\``;
  }
  return `the tool name ${quote(name)} has characters other than letters, digits and \`_ . : < > / -\``;
}

/** Characters that take no space: format controls, variation selectors, fillers. */
const INVISIBLE = /[\p{Cf}\p{Mn}\u{115f}\u{1160}\u{3164}\u{ffa0}]/gu;

/** UNTRUSTED: shown in ASCII and cut, so that a name cannot rewrite a terminal or a log line. */
function quote(name: string): string {
  const shown = name
    .slice(0, 64)
    .replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `\`${shown}\``;
}
