import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FETCH_BODY_BYTES_MAX,
  type FetchRequest,
  findRequestProblem,
} from '../../worker/fetch-protocol.ts';

const GET: FetchRequest = { method: 'GET', url: 'http://allowed.test/', headers: [] };
const POST: FetchRequest = { ...GET, method: 'POST', body: {} };
const withUrl = (url: string): FetchRequest => ({ ...GET, url });
const withHeader = (name: string, value: string): FetchRequest => ({
  ...GET,
  headers: [[name, value]],
});

describe('a request', () => {
  test.each<[string, FetchRequest]>([
    ['of the plainest kind', GET],
    ['over TLS, with port, path and query', withUrl('https://allowed.test:8443/a%20b?c=d&e')],
    ['to an address', withUrl('http://[2001:db8::1]:81/')],
    ['with a body of unknown length', POST],
    ['with a body of a known length', { ...POST, body: { bytes: FETCH_BODY_BYTES_MAX } }],
    ['with an empty body', { ...POST, body: { bytes: 0 } }],
    ['with a method of its own', { ...GET, method: 'PROPFIND' }],
    ['that deletes with a body', { ...POST, method: 'DELETE' }],
    [
      'with ordinary headers',
      {
        ...GET,
        headers: [
          ['Accept', '*/*'],
          ['x-é'.slice(0, 2), 'é\tü'],
        ],
      },
    ],
    [
      'with the same header twice',
      {
        ...GET,
        headers: [
          ['cookie', 'a'],
          ['cookie', 'b'],
        ],
      },
    ],
    ['with an empty header', withHeader('x-empty', '')],
    ['with as many headers as there may be', { ...GET, headers: Array(128).fill(['x', 'y']) }],
    ['with as many bytes of headers as there may be', withHeader('xx', 'y'.repeat(16_382))],
  ])('%s may be made', (_kind, request) => {
    expect(findRequestProblem(request)).toBeNull();
  });

  test.each<[string, FetchRequest]>([
    ['no method', { ...GET, method: '' }],
    ['a method with a line end', { ...GET, method: 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET' }],
    ['a method that is too long', { ...GET, method: 'X'.repeat(33) }],
    ['CONNECT', { ...GET, method: 'CONNECT' }],
    ['TRACE in small letters', { ...GET, method: 'trace' }],
    ['TRACK', { ...GET, method: 'TRACK' }],
    ['GET with a body', { ...GET, body: { bytes: 1 } }],
    ['HEAD with a body', { ...GET, method: 'head', body: {} }],
    ['no URL', withUrl('')],
    ['a relative URL', withUrl('/etc/passwd')],
    ['a file', withUrl('file:///etc/passwd')],
    ['another protocol', withUrl('ftp://allowed.test/')],
    ['a socket of the web', withUrl('ws://allowed.test/')],
    ['a user', withUrl('http://user@allowed.test/')],
    ['a password', withUrl('http://:secret@allowed.test/')],
    ['a fragment', withUrl('http://allowed.test/#x')],
    [
      'a URL that is written otherwise than it is read',
      withUrl('http:\\\\allowed.test\\@evil.test/'),
    ],
    ['an address in another notation', withUrl('http://0x7f.1/')],
    ['a host in large letters', withUrl('http://ALLOWED.test/')],
    ['a path with a line end', withUrl('http://allowed.test/a\r\nHost: evil.test')],
    ['a default port', withUrl('http://allowed.test:80/')],
    ['a URL that is too long', withUrl(`http://allowed.test/${'x'.repeat(8192)}`)],
    ['a header with a line end', withHeader('x', 'y\r\nHost: evil.test')],
    ['a header with a lone carriage return', withHeader('x', 'y\rz')],
    ['a header with a null byte', withHeader('x', 'y\0')],
    ['a header beyond one byte', withHeader('x', 'Ā')],
    ['a header without a name', withHeader('', 'x')],
    ['a name with a colon', withHeader('x: y\r\nhost', 'z')],
    ['a name with a blank', withHeader('content-length ', '5')],
    ['too many headers', { ...GET, headers: Array(129).fill(['x', 'y']) }],
    ['too many bytes of headers', withHeader('xx', 'y'.repeat(16_383))],
    ['a negative length', { ...POST, body: { bytes: -1 } }],
    ['half a byte', { ...POST, body: { bytes: 0.5 } }],
    ['no number as its length', { ...POST, body: { bytes: Number.NaN } }],
    ['a body that is too long', { ...POST, body: { bytes: FETCH_BODY_BYTES_MAX + 1 } }],
  ])('with %s may not', (_kind, request) => {
    expect(findRequestProblem(request)).toEqual(expect.any(String));
  });

  test.each([
    ...['Host', 'CONNECTION', 'keep-alive', 'TE', 'trailer', 'Transfer-Encoding', 'upgrade'],
    ...['content-length', 'Expect', 'http2-settings', 'proxy-connection', 'Proxy-Authorization'],
  ])('may not name %s, which the supervisor says itself', (name) => {
    expect(findRequestProblem(withHeader(name, 'x'))).toBe(`the header \`${name.toLowerCase()}\``);
  });

  test('that may be made has nothing that could end a line', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.string(),
        (value, name, method) => {
          const request = { ...withHeader(name, value), method };
          if (findRequestProblem(request) !== null) return;
          expect(`${method}${name}${value}`).not.toMatch(/[\r\n\0]/);
        },
      ),
    );
  });
});
