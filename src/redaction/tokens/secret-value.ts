import { isDigit } from '../text/characters.ts';

/** Longer values are judged by their beginning. */
const SAMPLE_MAX = 128;
const SEQUENCE = 6;

/** What a text is made of: the facts that tell a random value from a word. */
interface Makeup {
  readonly length: number;
  readonly digits: number;
  readonly lower: number;
  readonly upper: number;
  readonly other: number;
  readonly distinct: number;
  /** Shannon entropy in bits per character. */
  readonly entropy: number;
}

function makeupOf(text: string): Makeup {
  const length = Math.min(text.length, SAMPLE_MAX);
  const uses = new Uint8Array(128);
  let digits = 0;
  let lower = 0;
  let upper = 0;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    uses[code & 127] = (uses[code & 127] as number) + 1;
    if (isDigit(code)) digits += 1;
    else if (code >= 97 && code <= 122) lower += 1;
    else if (code >= 65 && code <= 90) upper += 1;
  }
  const other = length - digits - lower - upper;
  let distinct = 0;
  let entropy = 0;
  for (let code = 0; code < uses.length; code += 1) {
    const count = uses[code] as number;
    if (count === 0) continue;
    distinct += 1;
    entropy -= (count / length) * Math.log2(count / length);
  }
  return { length, digits, lower, upper, other, distinct, entropy };
}

/** Words of examples and templates; a random value does not contain them. */
const EXAMPLE_WORDS =
  /example|placeholder|change.?me|your[_-]|(?:string|token|key|secret|password)?_?here\b|xxxx|redacted|\*{3}|\.{3}|dummy|fake|sample|insert|replace|todo|SHA256/i;
/** References to a value that is kept elsewhere. */
const REFERENCE =
  /^(?:\$\{?[\w.:-]{1,80}\}?|\$\(.{0,80}|%\w{1,80}%|%[sdv@]|\{\{?.{0,80}|<[^>]{0,80}>?|\[[^\]]{0,80}\]?|#\{.{0,80}|@\w+@|process\.env.{0,80}|env[.(:[].{0,80}|!?ref\b.{0,80}|vault:.{0,200}|ENC\(.{0,400}|arn:.{0,200}|op:\/\/.{0,200})$/i;
const NOTHING =
  /^(?:null|nil|none|undefined|true|false|yes|no|on|off|string|str|text|bool|boolean|int|integer|number|object|any|unknown|empty|n\/a|secret|password|passwd|token|key|apikey|api_key|value|required|optional|hidden|env|prompt|default|test|name|public|private|bearer|basic)$/i;

/** True for what stands where a secret would: nothing, a template, an example, a reference. */
export function isPlaceholder(value: string): boolean {
  const sample = value.slice(0, 256);
  if (NOTHING.test(sample) || REFERENCE.test(sample) || EXAMPLE_WORDS.test(sample)) return true;
  const { distinct, length } = makeupOf(sample);
  return distinct <= Math.min(4, length / 2);
}

/**
 * Most characters in a row that count up or down: six of `x-123456`. What a generator made has few;
 * what a person typed as an example often has many.
 */
function longestSequence(value: string): number {
  let longest = 1;
  let up = 1;
  let down = 1;
  for (let at = 1; at < value.length && at < SAMPLE_MAX; at += 1) {
    const step = value.charCodeAt(at) - value.charCodeAt(at - 1);
    up = step === 1 ? up + 1 : 1;
    down = step === -1 ? down + 1 : 1;
    longest = Math.max(longest, up, down);
  }
  return longest;
}

/** True for a value that is a sequence for the most part: `key-1234567890`. */
export function isCounted(value: string): boolean {
  return longestSequence(value) * 2 > value.length;
}

/** True for what follows a vendor's prefix when it is more than a name or a filler. */
export function looksGenerated(value: string): boolean {
  const { distinct, length } = makeupOf(value);
  return (
    distinct >= Math.min(8, length / 2) && !NAME.test(value) && longestSequence(value) < SEQUENCE
  );
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
/** Versions 1, 2 and 6 are a time and a node, so that anybody can guess them (RFC 9562 section 8). */
const TIME_BASED = /^.{14}[126].{4}[89ab]/i;
const HEX = /^(?:0x)?[\da-f]{16,}$/i;
/** `some.dotted.name`, `a-slug-of-words`, `SCREAMING_CASE`, `camelCaseName2`: names, not secrets. */
const NAME =
  /^[a-z]{2,}(?:[._/: -][a-z]{2,}\d{0,2})+$|^[A-Z]{2,}\d{0,2}(?:_[A-Z]{2,}\d{0,2})*$|^[A-Za-z]?[a-z]{2,}(?:[A-Z][a-z]{2,})*\d{0,2}$|^[\w.]+\.(?:[a-z]{2,5}|\w+\(.*)$|^\.{0,2}\/[\w./-]*$/;
/** `settings.CLIENT_SECRET`, `builds/3fa9c1/app.zip`, `/run/secrets/db`: where something is. */
const MEMBER = /^[A-Za-z_$]+(?:\.[A-Za-z_$]+)+$/;
const FILE = /^[\w.-]+(?:\/[\w.-]+)*\/[\w-]+\.[a-z]{2,5}$/;
const PATH = /^(?:~|\.{0,2})(?:\/[\w.-]+){2,}$/;
const DATE_OR_VERSION = /^v?\d{1,4}(?:[-./:T]\d{1,4}){1,6}Z?$/;

/** True for a value that reads as generated: letters and digits, no words, enough entropy. */
export function looksRandom(value: string): boolean {
  if (UUID.test(value)) return !TIME_BASED.test(value);
  const makeup = makeupOf(value);
  if (HEX.test(value)) return makeup.digits > 0 && makeup.distinct >= 6 && makeup.entropy > 2.5;
  if (NAME.test(value) || DATE_OR_VERSION.test(value) || value.includes('://')) return false;
  if (MEMBER.test(value) || FILE.test(value)) return false;
  const letters = makeup.lower + makeup.upper;
  if (letters === 0) return false;
  const isMixed = makeup.digits > 0 || (makeup.lower > 2 && makeup.upper > 2);
  return isMixed && makeup.entropy >= Math.min(3.5, 1.6 + makeup.length / 12);
}

/**
 * True for a value that no sentence has: ten characters or more with digits among letters, and
 * capitals or signs among those.
 */
export function isUnlikeWords(value: string): boolean {
  if (value.length < 10 || !looksRandom(value) || /[\s()[\]{}<>,;/]|^[\W_]/.test(value))
    return false;
  const { digits, upper, lower, other } = makeupOf(value);
  return (
    digits >= 2 && lower > 1 && (upper > 1 || other > 0) && !/^[A-Za-z]+[-_.:]?\d+$/.test(value)
  );
}

/**
 * True for a value that can be a password: also short ones, with signs. In quotes any word of
 * length counts; bare, it needs a digit or a sign, since code has names there.
 */
export function looksLikePassword(value: string, isQuoted: boolean): boolean {
  if (value.length < 4 || /^[\W_]+$|\s/.test(value) || PATH.test(value)) return false;
  const { digits, upper, lower, other } = makeupOf(value);
  const letters = upper + lower;
  if (/^0x[\da-f]{1,16}$/i.test(value)) return false; // a number
  if (digits > 0 && letters > 0) return !/^[a-z_$][\w$]*(?:\.[a-z_$][\w$]*)+$/i.test(value);
  if (other > 0 && letters > 0 && /[^\w.:/()[\]{}<>=, -]/.test(value)) return true;
  if (digits === value.length) return digits >= 6;
  return isQuoted && value.length >= 5 && !/[\s.:/()]/.test(value) && !/^[A-Z_]+$/.test(value);
}
