import { types } from 'node:util';
import type { Place, Walk } from './walk.ts';

type ViewClass = new (buffer: ArrayBuffer) => ArrayBufferView;

/** By internal slot: `constructor` is a property like any other and may lie. */
const VIEWS: readonly (readonly [(value: unknown) => boolean, ViewClass])[] = [
  [types.isUint8Array, Uint8Array],
  [types.isUint8ClampedArray, Uint8ClampedArray],
  [types.isInt8Array, Int8Array],
  [types.isUint16Array, Uint16Array],
  [types.isInt16Array, Int16Array],
  [types.isUint32Array, Uint32Array],
  [types.isInt32Array, Int32Array],
  [types.isFloat32Array, Float32Array],
  [types.isFloat64Array, Float64Array],
  [types.isBigInt64Array, BigInt64Array],
  [types.isBigUint64Array, BigUint64Array],
];

/**
 * A redacted copy of a buffer, typed array or array buffer. Bytes are read as UTF-8 or UTF-16, and
 * as Latin-1 where they are neither, so that ASCII inside binary data is seen.
 *
 * @returns the same type; a changed array of larger elements comes back as a `Uint8Array`
 */
export function redactBytes(
  walk: Walk,
  value: ArrayBufferView | ArrayBufferLike,
  place: Place,
): unknown {
  // A copy: the owner could change the bytes between the scan and their use.
  const bytes = Buffer.from(new Uint8Array(bytesOf(value)).buffer);
  const encoding = encodingOf(bytes);
  const text = bytes.toString(encoding);
  const redacted = walk.text(text, place);
  return rebuild(value, redacted === text ? bytes : Buffer.from(redacted, encoding));
}

function bytesOf(value: ArrayBufferView | ArrayBufferLike): Buffer {
  return ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value);
}

function isByteView(view: ArrayBufferView): boolean {
  return types.isUint8Array(view) || types.isUint8ClampedArray(view) || types.isInt8Array(view);
}

/** UTF-16 of mostly ASCII has a zero after every letter. */
function encodingOf(bytes: Uint8Array): 'utf16le' | 'utf8' | 'latin1' {
  const isWide = bytes.length > 3 && bytes.length % 2 === 0 && bytes[1] === 0 && bytes[3] === 0;
  if (isWide && bytes[0] !== 0) return 'utf16le';
  return isUtf8(bytes) ? 'utf8' : 'latin1';
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false; // the only way TextDecoder reports it
  }
}

function rebuild(original: ArrayBufferView | ArrayBufferLike, bytes: Buffer): unknown {
  // Memory of its own: Node's small buffers share a pool, where the secret would still stand.
  const copy = new Uint8Array(bytes);
  if (Buffer.isBuffer(original)) return Buffer.from(copy.buffer);
  if (!ArrayBuffer.isView(original)) return copy.buffer;
  if (original instanceof DataView) return new DataView(copy.buffer);
  if (copy.length !== original.byteLength && !isByteView(original)) return copy;
  const type = VIEWS.find(([isType]) => isType(original));
  return type === undefined ? copy : new type[1](copy.buffer);
}
