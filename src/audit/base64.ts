/**
 * Bytes of padded base64 text in its one canonical spelling; null for anything else.
 *
 * `Buffer.from` skips what it does not know, which would let two texts stand for the same bytes.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
