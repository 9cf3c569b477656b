import { PLAIN_COMMANDS, RECON_COMMANDS, WORDY_COMMANDS } from './shell-words.ts';

/**
 * True when a text that should be data would run a command if it reached a shell. Metacharacters
 * count only next to a command word; backticks are Markdown here, not substitution.
 */
export function hasShellInjection(text: string): boolean {
  if (!SHELL_SIGN.test(text)) return isWholeCommand(text);
  if (SIGNATURES.some((signature) => signature.test(text)) || isWholeCommand(text)) return true;
  const isShort = text.trim().split(/[\n\r]+/, LINES_MAX + 1).length <= LINES_MAX;
  return isShort && AFTER_LINE_BREAK.some((signature) => signature.test(text));
}

/** Without one of these nothing below can match. */
const SHELL_SIGN = /[;&|`$(<>{\n\r/\\-]/;

const words = (list: readonly string[]): string =>
  list.map((word) => word.replace(/[.+]/g, '\\$&')).join('|');

/** Backslashes and quotes inside a word do nothing in a shell: `w'h'o\ami`. */
const BIN = '(?:(?:/[\\w.-]{1,32}){0,6}/(?:s?bin)/)?';
const PLAIN = `${BIN}(?:${words(PLAIN_COMMANDS)})`;
const WORDY = `${BIN}(?:${words(WORDY_COMMANDS)})`;

/** What makes a wordy command a command: an option, path, variable, quote, number, or an end. */
const ARGUMENT =
  '(?:\\s*$|[;&|<>`)\'"#\\n]|\\s+(?:[-/~.$%"\'\\\\<>*]|\\d|[A-Za-z]:\\\\|[\\w-]{1,64}\\.\\w))';
/** Not a name that is assigned or called, and not a cell of a table. */
const PLAIN_END = '(?=\\s*$|[\\s;&|<>`)\'"#/])(?!\\s{0,4}(?:[=(:,]|\\.\\w)|\\s{1,8}\\|)';
/** After a separator; prose has `;` before ordinary words. */
const SEPARATOR = '(?:[;|&]|\\$\\(|\\$IFS|%0a|<\\(|>\\()[\\s({"\'`]{0,8}';

/** In a text of a few lines a line break separates; in a document every line begins after one. */
const LINE_BREAK = '[\\n\\r][^\\S\\n\\r]{0,8}';
const LINES_MAX = 3;

const AFTER_LINE_BREAK: readonly RegExp[] = [
  new RegExp(`${LINE_BREAK}${PLAIN}${PLAIN_END}`, 'i'),
  new RegExp(`${LINE_BREAK}${WORDY}(?=${ARGUMENT})`, 'i'),
];

const SIGNATURES: readonly RegExp[] = [
  new RegExp(`${SEPARATOR}${PLAIN}${PLAIN_END}`, 'i'),
  new RegExp(`${SEPARATOR}${WORDY}(?=${ARGUMENT})`, 'i'),
  // Shellshock, device sockets, here-and-gone files.
  /\(\)\s{0,4}\{\s{0,4}[:_\w]{1,16}\s{0,4};/,
  /\/dev\/(?:tcp|udp)\//i,
  /(?:\/bin\/|\b)(?:ba|da|z|k|c)?sh\s{1,4}-(?:c|i)\b/,
  /\bcmd(?:\.exe)?\s{1,4}\/[ck]\b/i,
  /\bpowershell(?:\.exe)?\s{1,4}-/i,
  /\b(?:nc|ncat|netcat)\s[^\n]{0,100}-[a-z]{0,4}[ec]\b/,
  /\brm\s{1,4}-[a-z]{0,4}(?:rf|fr)[a-z]{0,4}\s/i,
  /\b(?:curl|wget)\s[^\n|;]{0,300}[|;]\s{0,4}(?:sudo\s{1,4})?(?:ba|da|z)?sh\b/i,
  /\b(?:system|exec|shell_exec|passthru|popen|eval)\s{0,4}\(\s{0,4}['"`$]/i,
  /\bphpinfo\s{0,4}\(\s{0,4}\)/i,
  /\{\s{0,4}\$\s{0,4}(?:\{|_(?:GET|POST|REQUEST|SERVER|COOKIE)\b)|\$\{\s{0,4}@/,
  /<!--\s{0,4}#\s{0,4}exec\b/i,
  /\$\{?IFS\b/,
  /\{[a-z]{1,12},-?[\w/.-]{1,32}\}/i,
  /\bchmod\s{1,4}(?:\+x|[0-7]{3,4}|[ugoa]+[+-][rwxst]+)\s/i,
  />{1,2}\s{0,4}(?:\/(?:etc|dev\/(?:sd|hd|nvme|mem)|usr|bin|var\/www|root)\b|~\/\.)/i,
  />{1,2}\s{0,4}[\w./\\-]{1,64}\.(?:php|jsp|aspx?|cgi)\b/i,
];

const RECON = new RegExp(
  `^${BIN}(?:${words(RECON_COMMANDS)})(?:\\s{1,4}[-/][\\w/.-]{1,64}){0,3}$`,
  'i',
);
const COMMAND_LINE = new RegExp(
  `^${BIN}(?:${words(PLAIN_COMMANDS)}|${words(WORDY_COMMANDS)})(?:[<>]|\\s{1,4}(?:[-/~$<>"'\`%{]|[A-Za-z]:\\\\|\\d{1,3}\\.\\d{1,3}\\.))`,
);
const LOOK_UP = new RegExp(`^(?:which|whereis|man|type)\\s{1,4}(?:${words(PLAIN_COMMANDS)})$`);
const WINDOWS_ADMINISTRATION =
  /^(?:net\s{1,4}(?:user|localgroup|group|view|share|use|start|stop|accounts)|netsh\s{1,4}\w|reg\s{1,4}(?:add|query|delete|save)|wmic\s{1,4}\w|sc\s{1,4}(?:create|config|stop|delete)|schtasks\s|vssadmin\s)/i;
const WHOLE = [RECON, COMMAND_LINE, LOOK_UP, WINDOWS_ADMINISTRATION];

/** The text is a command itself. Lower case unless it is a bare question for identity. */
function isWholeCommand(text: string): boolean {
  const line = text.trim().replace(/^['"`(]{1,4}|['"`);]{1,4}$/g, '');
  return line.length <= 4096 && WHOLE.some((form) => form.test(line));
}
