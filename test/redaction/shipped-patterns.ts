import { readdirSync, readFileSync } from 'node:fs';
import { VENDOR_TOKENS } from '../../src/redaction/tokens/vendor-tokens.ts';

/** A regular expression that the package runs over data it does not trust. */
export interface ShippedPattern {
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

const FOLDER = 'src/redaction';
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|[\s;,{}])\/\/.*$/gm;
/** A literal: after an operator, bracket or keyword, where a division cannot stand. */
const LITERAL =
  /(?<=[=(,:;[!&|?{}\n]\s*|return\s)\/(?![*/])((?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)/g;

/** Every regular expression of `src/redaction`: the literals of its source, and the vendor table. */
export function shippedPatterns(): ShippedPattern[] {
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' });
  const literals = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => literalsIn(file, readFileSync(`${FOLDER}/${file}`, 'utf8')));
  const bodies = VENDOR_TOKENS.flatMap(({ vendor, body, head }) => [
    { where: `vendor ${vendor}`, source: `^(?:${body})`, flags: '' },
    ...(head === undefined
      ? []
      : [{ where: `vendor ${vendor}`, source: `^(?:${head.shape})$`, flags: '' }]),
  ]);
  return [...literals, ...bodies];
}

function literalsIn(file: string, code: string): ShippedPattern[] {
  return [...code.replace(COMMENT, '').matchAll(LITERAL)].map((match) => ({
    where: file,
    source: match[1] as string,
    flags: match[2] as string,
  }));
}
