import { SECRET_CATEGORIES, type SecretCategory } from '../categories.ts';
import type { Detector, Finding, Source } from '../finding.ts';
import { isWordCharacter } from '../text/words.ts';
import { credentialKindOf } from './credential-name.ts';
import type { Landmark } from './landmarks.ts';
import {
  isCounted,
  isPlaceholder,
  isUnlikeWords,
  looksLikePassword,
  looksRandom,
} from './secret-value.ts';

/** Longest name and value that are looked at. */
const NAME_MAX = 48;
const VALUE_MAX = 280;
/** Longer values are encrypted, sealed, or tokens of a kind of their own. */
const VALUE_LENGTH_MAX = 256;

/** Parts of names that hold credentials. Nothing else is looked at. */
const KEYWORDS: readonly string[] = [
  ...['passw', 'passphrase', 'passcode', 'passkey', 'pwd', 'secret', 'token', 'cred', 'auth'],
  ...['bearer', 'key', 'senha', 'contrase', 'kennwort', 'motdepasse', 'mot_de_passe'],
  ...['mot de passe', 'wachtwoord', 'salasana', 'heslo', 'parola'],
];
/** These count as whole words only. */
const SHORT_KEYWORDS: readonly string[] = ['pass', '_pw'];
const FOREIGN_KEYWORD =
  /парол|密码|密碼|パスワード|비밀번호|암호|lösenord|hasło|şifre|mật khẩu|รหัสผ่าน|סיסמ/gi;

/** What may stand between a name and its value, after the quote that closes the name. */
const CLOSING = '(?:\\\\?["\'`]|[\\])}])?(?:\\\\?["\'`\\])}])?[ \\t]{0,8}';
const OPERATORS: readonly RegExp[] = [
  // with a type in between: `key: &str = "…"`, `KEY: str = '…'`
  /^:[ \t]{0,4}&?[A-Za-z][\w.<>[\]?|]{0,32}[ \t]{1,4}=[ \t]{1,4}(?=["'`])/,
  // of a pair: `"name": "KEY", "value": "…"`, `key="KEY" value="…"`, `- name: KEY` and `value: …`
  /^(?:\\?["'])?(?:[ \t]{0,4},|[ \t\r\n])[\s"'\\]{0,24}value(?:\\?["'])?[ \t]{0,4}[:=][ \t]{0,4}(?=\S)/i,
  // =, :, :=, =>, ?=, ::=, .=, ->, with a type before it: `token string = "…"`
  new RegExp(
    `^${CLOSING}(?:[A-Za-z]{1,12}[ \\t]{1,4}(?==))?(?:[?.|+:]{0,3}[:=]{1,3}>?|->)[ \\t]{0,8}(?:\\r?\\n[ \\t]{0,12})?`,
  ),
  // secret("value")
  /^\((?=["'])/,
  // <name>value</name>
  /^>\s{0,16}(?=[^\s<>])/,
  // | name | value |
  /^[`*]{0,2}[ \t]{0,40}\|[ \t]{1,40}`?(?=[^\s|`])/,
];
/** `setProperty("NAME", "value")` and `setopt(NAME, "value")`, not the members of a list. */
const ARGUMENT_GAP = /^(?:\\?["'`])?[ \t]{0,4},[ \t]{0,4}(?=\\?["'`])/;
const ARGUMENT_BEFORE = /\(\s{0,4}\\?["'`][\w.-]*$|[(,]\s{0,4}[A-Z][A-Z\d_]*$/;
const FLAG_GAP = /^[ \t]{1,4}(?=[^\s-])/;
/** `password Vx9…`, `the token is R7k…`: the value must look like nothing else. */
const WORD_GAP = /^(?:[ \t]{1,4}(?:is|was)[ \t]{0,2}:?)?[ \t]{1,4}(?=["'`]?[^\s"'`=<>-])/;
const QUOTED = /^(?:[bBrRfFuULN@$]{1,2}|\\)?(["'`])(.{0,260}?)\\?\1/;
const BARE = /^[^\s"'`<>,;(){}[\]|&\\]{1,260}/;

/** Name and value of one assignment, with the value's place in the text. */
interface Assignment {
  readonly name: string;
  readonly value: string;
  readonly start: number;
  readonly isQuoted: boolean;
  /** Only a blank stands between the two, so that the value must speak for itself. */
  readonly isLoose: boolean;
}

/** What stands between a name and its value. */
interface Gap {
  readonly length: number;
  readonly isLoose: boolean;
}

/**
 * Credentials that are known by the name they are assigned to: `password = …`, `"api_key": "…"`,
 * `X-Auth-Token: …`, `<token>…</token>`, `--secret …`, `setProperty("KEY", "…")`. Only the value
 * is reported.
 */
export function assignmentLandmark(categories: ReadonlySet<string>): Landmark {
  return {
    words: [...KEYWORDS, ...SHORT_KEYWORDS],
    isExact: false,
    start: (source, found) => {
      if (heldBy(source) !== null) return () => {};
      const visit = assignmentVisitor(source.text, categories, found);
      return (at, word) => {
        const isPart =
          SHORT_KEYWORDS.includes(word) && isWordCharacter(source.text, at + word.length);
        if (!isPart) visit(at, word);
      };
    },
  };
}

/**
 * The same for what no index of ASCII words finds: names in other scripts, and in a structure the
 * key that holds the text.
 */
export function heldAssignmentDetector(categories: ReadonlySet<string>): Detector {
  return (source, found) => {
    const held = heldBy(source);
    if (held !== null) return addAssignment(held, categories, found);
    const visit = assignmentVisitor(source.text, categories, found);
    for (const keyword of source.text.matchAll(FOREIGN_KEYWORD)) visit(keyword.index, keyword[0]);
  };
}

/** The whole text as the value of the key that holds it, when that names a credential. */
function heldBy({ text, hint }: Source): Assignment | null {
  const value = hint === '' || text.length > VALUE_MAX ? '' : text.trim();
  if (value === '' || /\s/.test(value) || credentialKindOf(hint) === null) return null;
  return { name: hint, value, start: text.indexOf(value), isQuoted: true, isLoose: false };
}

function assignmentVisitor(
  text: string,
  categories: ReadonlySet<string>,
  found: Finding[],
): (at: number, word: string) => void {
  let from = 0;
  return (at, word) => {
    if (at < from) return;
    const end = nameEnd(text, at + word.length);
    from = end;
    const assignment = assignmentAt(text, at, end);
    if (assignment === null) return;
    from = assignment.start;
    addAssignment(assignment, categories, found);
  };
}

function addAssignment(
  assignment: Assignment,
  categories: ReadonlySet<string>,
  found: Finding[],
): void {
  const category = categoryOf(assignment);
  if (category === null || !categories.has(category)) return;
  const { start, value } = assignment;
  found.push({ category, start, end: start + value.length });
}

function nameEnd(text: string, from: number): number {
  let at = from;
  while (at - from < NAME_MAX && /[\w\p{L}\p{M}-]/u.test(text[at] ?? ' ')) at += 1;
  while (at > from && text[at - 1] === '-') at -= 1;
  return at;
}

/** The start of the name: `api key:` and `Secret Key:` are names of two words. */
function nameStart(text: string, from: number): number {
  const limit = Math.max(0, from - NAME_MAX);
  let at = from;
  while (at > limit && /[\w.$-]|[^ -~\s]/.test(text[at - 1] as string)) at -= 1;
  if (at !== from || text[at - 1] !== ' ') return at;
  const wordBefore = /(?:^|[\s"'({,;#])([A-Za-z]{3,16}) $/.exec(
    text.slice(Math.max(0, at - 18), at),
  );
  return wordBefore === null ? at : at - (wordBefore[1] as string).length - 1;
}

function assignmentAt(text: string, keyword: number, end: number): Assignment | null {
  const rest = text.slice(end, end + VALUE_MAX + 64);
  const gap = gapBefore(text, keyword, rest);
  if (gap === undefined) return null;
  const nameFrom = nameStart(text, keyword);
  const name = text.slice(nameFrom, end);
  if (text[nameFrom - 1] === '<' && isPlaceholderName(name) && !rest.includes(`</${name}`)) {
    return null;
  }
  const { isLoose } = gap;
  const value = rest.slice(gap.length);
  const quoted = QUOTED.exec(value);
  if (quoted) {
    const opening = value.indexOf(quoted[1] as string) + 1;
    const start = end + gap.length + opening;
    return { name, value: quoted[2] as string, start, isQuoted: true, isLoose };
  }
  const bare = bareValue(value);
  const start = end + gap.length;
  return bare === '' ? null : { name, value: bare, start, isQuoted: false, isLoose };
}

/** `<PASSWORD>` stands for a password that was redacted before, unless it is an element. */
function isPlaceholderName(name: string): boolean {
  return (SECRET_CATEGORIES as readonly string[]).includes(name.toLowerCase());
}

function gapBefore(text: string, keyword: number, rest: string): Gap | undefined {
  for (const operator of OPERATORS) {
    const gap = operator.exec(rest)?.[0];
    if (gap !== undefined) return { length: gap.length, isLoose: false };
  }
  const before = text.slice(Math.max(0, keyword - NAME_MAX), keyword);
  if (ARGUMENT_BEFORE.test(before)) return gapOf(ARGUMENT_GAP, rest, false);
  // `--password value`, `-token value`, `#define TOKEN value`
  const isFlag = /(?:^|\s)-{1,2}[\w-]*$|define\s+\w*$/.test(before);
  return isFlag ? gapOf(FLAG_GAP, rest, false) : gapOf(WORD_GAP, rest, true);
}

function gapOf(pattern: RegExp, rest: string, isLoose: boolean): Gap | undefined {
  const gap = pattern.exec(rest)?.[0];
  return gap === undefined ? undefined : { length: gap.length, isLoose };
}

/** Up to a blank or bracket; a call or an index is code, not a value. */
function bareValue(rest: string): string {
  const bare = BARE.exec(rest)?.[0] ?? '';
  if (/[([]/.test(rest[bare.length] ?? '')) return '';
  let end = bare.length;
  while (end > 0 && '.:!?'.includes(bare[end - 1] as string)) end -= 1;
  return bare.slice(0, end);
}

function categoryOf({ name, value, isQuoted, isLoose }: Assignment): SecretCategory | null {
  if (isLoose && !isUnlikeWords(value)) return null;
  if (value.length < 4 || value.length > VALUE_LENGTH_MAX) return null;
  const kind = credentialKindOf(name);
  if (kind === null || (kind !== 'password' && value.length < KEY_LENGTH_MIN[kind])) return null;
  if (isPlaceholder(value)) return null;
  if (kind === 'password') return looksLikePassword(value, isQuoted) ? 'password' : null;
  return isKeyValue(value) ? 'generic_api_key' : null;
}

/** Shorter values are names and numbers; a plain `key` is more often one of a map. */
const KEY_LENGTH_MIN = { credential: 10, key: 24 } as const;

function isKeyValue(value: string): boolean {
  return !/\s/.test(value) && !isCounted(value) && looksRandom(value);
}
