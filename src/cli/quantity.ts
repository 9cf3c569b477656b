import { EnforceError } from '../errors.ts';

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30 };

/** `500ms`, `30s`, `2m`, `1h` as whole milliseconds; a bare number is seconds. */
export function parseDuration(text: string, option = '--timeout'): number {
  return parse(text, MS, 's', `\`${option}\` takes a duration such as 500ms, 30s or 2m`);
}

/** `64mb`, `1gb`, `512kb` as whole bytes (1 MB = 1,048,576); a bare number is megabytes. */
export function parseSize(text: string, option = '--memory'): number {
  return parse(text, BYTES, 'mb', `\`${option}\` takes a size such as 256mb or 1gb`);
}

function parse(
  text: string,
  units: Readonly<Record<string, number>>,
  bare: string,
  expected: string,
): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = units[(match?.[2] || bare).toLowerCase()];
  const value = Math.round(Number(match?.[1]) * (factor ?? Number.NaN));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new EnforceError('ENF_CLI_USAGE', `${expected}, got \`${text.slice(0, 40)}\``);
}

/** A whole number >= 0. */
export function parseCount(option: string, text: string): number {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text)) return value;
  throw new EnforceError(
    'ENF_CLI_USAGE',
    `\`${option}\` takes a whole number >= 0, got \`${text.slice(0, 40)}\``,
  );
}

/** One of a few words. */
export function oneOf<T extends string>(option: string, text: string, words: readonly T[]): T {
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  throw new EnforceError(
    'ENF_CLI_USAGE',
    `\`${option}\` takes ${words.join(' or ')}, got \`${text.slice(0, 40)}\``,
  );
}
