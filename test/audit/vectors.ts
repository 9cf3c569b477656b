import { readFileSync } from 'node:fs';

/** Published test vectors, see the `source` inside each file. */
export function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(`test/vectors/audit-${name}.json`, 'utf8')) as T;
}

export const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
