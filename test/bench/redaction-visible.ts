import { runInThisContext } from 'node:vm';
import { gunzipSync, gzipSync } from 'node:zlib';
import { isEnforceError } from '../../src/errors.ts';
import type { Redactor } from '../../src/redaction/index.ts';
import type { EvasionRow } from './redaction-corpora.ts';

/** Everything that can be seen of an evasion after redaction; empty when it was refused. */
export function visibleIn(redactor: Redactor, { kind, payload }: EvasionRow): string {
  try {
    return visibleOf(redactor, kind, payload);
  } catch (error) {
    if (isEnforceError(error)) return '';
    throw error;
  }
}

function visibleOf(redactor: Redactor, kind: EvasionRow['kind'], payload: unknown): string {
  switch (kind) {
    case 'text':
      return redactor.redactText(payload as string).value;
    case 'chunks':
      return streamed(redactor, payload as string[]);
    case 'byte_chunks':
    case 'bytes': {
      const decoder = new TextDecoder();
      const chunks = payload as number[][];
      return streamed(
        redactor,
        chunks.map((bytes) => decoder.decode(Uint8Array.from(bytes), { stream: true })),
      );
    }
    case 'js': {
      Object.assign(globalThis, { zlib: { gzipSync } });
      return textsIn(redactor.redact(runInThisContext(`(${payload})`)).value).join('\n');
    }
    default:
      return JSON.stringify(redactor.redact(payload, { root: 'args' }).value);
  }
}

function streamed(redactor: Redactor, chunks: readonly string[]): string {
  const stream = redactor.stream();
  return chunks.map((chunk) => stream.push(chunk)).join('') + stream.end();
}

/** Every text in a value, keys, bytes and hidden properties too. */
function textsIn(value: unknown, seen: Set<unknown> = new Set()): string[] {
  if (value === null || value === undefined) return [];
  if (typeof value === 'symbol') return [value.description ?? ''];
  if (typeof value !== 'object') return [String(value)];
  if (seen.has(value)) return [];
  seen.add(value);
  if (ArrayBuffer.isView(value)) return textsInBytes(Buffer.from(value.buffer));
  if (value instanceof ArrayBuffer) return textsInBytes(Buffer.from(value));
  if (value instanceof URL || value instanceof RegExp) return [String(value)];
  if (value instanceof Map || value instanceof Set) {
    return [...value].flatMap((member) => textsIn(member, seen));
  }
  const record = value as Record<PropertyKey, unknown>;
  const inherited: string[] = [];
  for (const key in record) inherited.push(key);
  return [...new Set<PropertyKey>([...Reflect.ownKeys(record), ...inherited])].flatMap((key) => [
    ...textsIn(key),
    ...textsIn(record[key], seen),
  ]);
}

function textsInBytes(bytes: Buffer): string[] {
  const texts = [bytes.toString('utf8'), bytes.toString('latin1')];
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return isGzip ? [...texts, gunzipSync(bytes).toString('utf8')] : texts;
}
