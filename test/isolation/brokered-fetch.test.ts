import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ToolTarget } from '../../src/call.ts';
import { chooseRunner } from '../../src/isolation/choose-runner.ts';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import { type LinuxHost, probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import type { RunEnd } from '../../src/isolation/runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

const host = await probeLinuxHost();
const canHarden = !('cause' in host);
if (!canHarden) requireLayer('hardened');
const SUPERVISOR = fileURLToPath(new URL('../fixtures/brokering-supervisor.mjs', import.meta.url));
const CODE = fileURLToPath(new URL('../escape/tools/run-code.mjs', import.meta.url));
/** What a supervisor may grow by, whoever floods it. */
const GROWTH_BYTES_MAX = 32 * 2 ** 20;

describe.skipIf(!canHarden)('a tool at `hardened` whose policy names domains', () => {
  let server: Server;
  let secure: Server;
  let folder = '';
  let ports = { plain: 0, secure: 0 };
  let runner: LinuxRunner;
  const hits: string[] = [];

  /** Sends as fast as it is read, for as long as it is. */
  function sendForEver(response: ServerResponse): void {
    const piece = Buffer.alloc(65_536);
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', more);
    more();
  }
  const pages: Readonly<
    Record<string, (response: ServerResponse, incoming: IncomingMessage) => void>
  > = {
    '/endless': sendForEver,
    '/headers': (response) => response.setHeader('x', 'y'.repeat(12_000)).end('z'.repeat(32_768)),
    '/away': (response) => response.writeHead(302, { location: 'http://evil.test/' }).end(),
    '/silent': () => undefined,
  };
  const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
    hits.push(incoming.url ?? '');
    const page = pages[incoming.url ?? ''];
    if (page !== undefined) return page(response, incoming);
    incoming.resume();
    incoming.on('end', () => response.end(`page ${incoming.url}`));
  };

  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'broker-')));
    chmodSync(folder, 0o755);
    const files = ['-keyout', join(folder, 'tls.k'), '-out', join(folder, 'tls.crt')];
    spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files],
      ...['-subj', '/CN=allowed.test', '-addext', 'subjectAltName=DNS:allowed.test'],
    ]);
    const [key, cert] = [
      readFileSync(join(folder, 'tls.k')),
      readFileSync(join(folder, 'tls.crt')),
    ];
    server = createServer(answer);
    secure = createSecureServer({ key, cert }, answer);
    for (const each of [server, secure]) {
      each.listen(0, '127.0.0.1');
      await once(each, 'listening');
    }
    const portOf = (each: Server) => (each.address() as AddressInfo).port;
    ports = { plain: portOf(server), secure: portOf(secure) };
    runner = new LinuxRunner('hardened', host as LinuxHost, [], {
      resolve: async () => ['127.0.0.1'],
      forbidden: { has: () => false },
    });
  });
  afterAll(async () => {
    await runner.close();
    for (const each of [server, secure]) {
      each.closeAllConnections();
      each.close();
    }
    rmSync(folder, { recursive: true });
  });

  async function jobOf(target: ToolTarget, args: unknown, wallMs = 20_000) {
    const records: EgressRecord[] = [];
    const job = await makeJob(target, args, { wallMs });
    const isolation = { ...job.confinement.isolation, profile: 'strict', exec: 'none' } as const;
    const network = { allowedDomains: ['allowed.test'], deniedDomains: [] };
    return {
      ...job,
      confinement: { ...job.confinement, network, isolation },
      onEgress: (record: EgressRecord): void => void records.push(record),
      records,
    };
  }
  async function run(target: ToolTarget, args: unknown = {}, wallMs?: number) {
    const job = await jobOf(target, args, wallMs);
    return { ...(await runner.run(job)), records: job.records };
  }
  const code = (text: string, wallMs?: number) =>
    run(CODE, { code: text, url: `http://allowed.test:${ports.plain}` }, wallMs);

  test('fetches what is allowed, and the report names the layer', async () => {
    const { end, layers, records } = await code('return (await fetch(a.url + "/x")).text()');
    expect(end).toEqual({ status: 'ok', value: 'page /x' });
    expect(layers).toContain('brokered-fetch');
    expect(layers).not.toContain('egress-proxy');
    expect(records).toMatchObject([{ host: 'allowed.test', port: ports.plain, effect: 'allow' }]);
  });

  test.each([
    ['a domain', '"http://evil.test/"', 'not-allowed'],
    ['a redirect to one', 'a.url + "/away"', 'not-allowed'],
    ['an address', 'a.url.replace("allowed.test", "127.0.0.1")', 'not-allowed'],
    ['cloud metadata', '"http://169.254.169.254/latest/"', 'not-allowed'],
  ])('does not reach %s that is not', async (_what, url, reason) => {
    const { end, records } = await code(
      `try { return await fetch(${url}) } catch (error) { return error.cause.code }`,
    );
    expect(end).toEqual({ status: 'ok', value: 'EACCES' });
    expect(records.at(-1)).toMatchObject({ effect: 'deny', reason });
  });

  const HTTP =
    'return await new Promise((r) => http.get(a.url, () => r("reached")).on("error", (e) => r(e.code)))';
  test('has no socket besides, which it would have unprotected', async () => {
    // A name needs a socket too, to be looked up with; an address does not.
    const direct = HTTP.replace('a.url', 'a.url.replace("allowed.test", "127.0.0.1")');
    const { end, records } = await code(direct);
    expect(end).toEqual({ status: 'ok', value: 'EAFNOSUPPORT' });
    expect(records).toEqual([]);
    const unprotected = new ProcessRunner();
    const job = await makeJob(CODE, { code: direct, url: `http://127.0.0.1:${ports.plain}` });
    expect((await unprotected.run(job)).end).toEqual({ status: 'ok', value: 'reached' });
    await unprotected.close();
  });

  test('is refused as a command, with the cause', async () => {
    const job = await jobOf({ command: [process.execPath, '--version'] }, {});
    expect(chooseRunner([runner], job.target, job.confinement)).toMatchObject({
      cause: expect.stringContaining('a command needs a network namespace'),
      remedy: expect.stringContaining('bubblewrap'),
    });
  });

  test('runs isolated instead where that works', async () => {
    const isolated = new LinuxRunner('isolated', host as LinuxHost);
    const { target, confinement } = await jobOf(CODE, {});
    expect(chooseRunner([runner, isolated], target, confinement)).toMatchObject({
      runner: isolated,
    });
    expect(chooseRunner([runner], target, confinement)).toMatchObject({ runner });
    await isolated.close();
  });

  test('may forget requests: they end with the call', async () => {
    const { end, records } = await code(
      `for (let n = 0; n < 40; n += 1) void fetch(a.url + (n % 2 ? '/silent' : '/endless')).catch(() => {});
       await new Promise((resolve) => setTimeout(resolve, 300)); return 'done'`,
    );
    expect(end).toEqual({ status: 'ok', value: 'done' });
    // More wait in the tool than may be open at once.
    expect(records).toHaveLength(32);
    expect(records.every(({ effect }) => effect === 'allow')).toBe(true);
  });

  test('loses its requests at the deadline', async () => {
    const { end, records } = await code('return await fetch(a.url + "/silent")', 1500);
    expect(end).toMatchObject({ status: 'timeout' });
    expect(records).toHaveLength(1);
    await new Promise<void>((resolve, reject) =>
      server.getConnections((error, count) =>
        error !== null || count > 0 ? reject(error ?? new Error(`${count} left`)) : resolve(),
      ),
    );
  });

  test('may want ten thousand pages at once, and gets as many as a call may', async () => {
    const { end, records } = await code(
      `const all = await Promise.allSettled(Array.from({ length: 10_000 }, (_, n) => fetch(a.url + '/' + n).then((r) => r.text())));
       const codes = all.map((one) => one.status === 'fulfilled' ? 'ok' : one.reason.cause.code);
       return Object.fromEntries([...new Set(codes)].map((each) => [each, codes.filter((c) => c === each).length]))`,
      60_000,
    );
    expect(end).toEqual({ status: 'ok', value: { ok: 4095, EACCES: 5905 } });
    expect(records).toHaveLength(4096);
    expect(records.filter(({ reason }) => reason === 'too-many')).toHaveLength(1);
  });

  test.each([
    'unknown request',
    'many at once',
    'body that nobody asked for',
    'header in a header',
    'after its result',
  ])('that forges messages (%s) has broken the protocol', async (attack) => {
    const url = `http://allowed.test:${ports.plain}/silent`;
    const { end } = await run(tool('forge-requests.mjs'), { attack, url });
    expect(end).toMatchObject({ status: 'protocol-violation', code: 'ENF_WORKER_PROTOCOL' });
  });

  test('is stopped by the first record that is not taken', async () => {
    const before = hits.length;
    const job = await jobOf(CODE, {
      code: `const reach = (url) => fetch(url).then(() => 'reached', (error) => error.cause.message);
        return [await reach('http://evil.test/'), await reach(a.url)]`,
      url: `http://allowed.test:${ports.plain}`,
    });
    const onEgress = (): void => {
      throw new Error('the trail is full');
    };
    const { end } = await runner.run({ ...job, onEgress });
    expect(end).toMatchObject({ status: 'crashed', code: 'ENF_INTERNAL' });
    expect(hits.length).toBe(before);
  });

  interface Apart {
    readonly end: RunEnd;
    readonly records: readonly EgressRecord[];
    readonly grownBytes: number;
  }

  /** The call under a supervisor of its own. */
  async function apart(
    module: string,
    args: Readonly<Record<string, unknown>>,
    env: NodeJS.ProcessEnv = {},
    wallMs = 20_000,
  ): Promise<Apart> {
    const job = JSON.stringify({ tier: 'hardened', module, args, limits: { wallMs } });
    const child = spawn(process.execPath, ['--expose-gc', SUPERVISOR], {
      env: { ...process.env, ...env, BROKERING_JOB: job },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await once(child, 'close');
    return JSON.parse(text) as Apart;
  }

  describe('under a supervisor whose environment leads astray', () => {
    const PAGE =
      'try { return await (await fetch(a.url)).text() } catch (e) { return e.cause.code }';
    const secureArgs = () => ({ code: PAGE, url: `https://allowed.test:${ports.secure}/s` });

    test('trusts the certificates that the supervisor trusts', async () => {
      const env = { NODE_EXTRA_CA_CERTS: join(folder, 'tls.crt') };
      const { end, records } = await apart(CODE, secureArgs(), env);
      expect(end).toEqual({ status: 'ok', value: 'page /s' });
      expect(records[0]?.bytesIn).toBeGreaterThan(50);
    });

    test('trusts no other, although the environment says not to look', async () => {
      const { end } = await apart(CODE, secureArgs(), { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
      expect(end).toMatchObject({ value: expect.stringMatching(/SELF_SIGNED|UNABLE_TO_VERIFY/) });
    });

    test('trusts a certificate only for the name that is in it', async () => {
      const env = { NODE_EXTRA_CA_CERTS: join(folder, 'tls.crt') };
      const url = `https://a.allowed.test:${ports.secure}/s`;
      const { end } = await apart(CODE, { code: PAGE, url }, env);
      expect(end).toMatchObject({ value: 'EACCES' });
    });

    test('goes through no proxy, and through no lax parser', async () => {
      const nowhere = 'http://127.0.0.1:1';
      const env = {
        ...{
          HTTP_PROXY: nowhere,
          http_proxy: nowhere,
          HTTPS_PROXY: nowhere,
          NODE_USE_ENV_PROXY: '1',
        },
        NODE_OPTIONS: '--insecure-http-parser',
      };
      const url = `http://allowed.test:${ports.plain}/direct`;
      expect((await apart(CODE, { code: PAGE, url }, env)).end).toEqual({
        status: 'ok',
        value: 'page /direct',
      });
    });
  });

  describe('makes its supervisor grow by little', () => {
    /** Takes V8's young generation to its full size, which any busy program has (48 MB by itself). */
    const warmUp = () => ({
      code: 'for (let n = 0; n < 30; n += 1) await Promise.all(Array.from({ length: 32 }, () => fetch(a.url).then((r) => r.text())))',
      url: `http://allowed.test:${ports.plain}/headers`,
    });

    test.each([
      [
        'reads nothing of an endless answer',
        'await fetch(a.url + "/endless"); await new Promise((r) => setTimeout(r, 1500))',
      ],
      [
        'reads nothing of many endless answers',
        'for (let n = 0; n < 32; n += 1) await fetch(a.url + "/endless"); await new Promise((r) => setTimeout(r, 1500))',
      ],
      [
        'blocks itself while they come',
        `for (let n = 0; n < 32; n += 1) void fetch(a.url + '/endless').then((r) => r.body.getReader().read());
         await new Promise((r) => setTimeout(r, 200)); const end = Date.now() + 1500; while (Date.now() < end);`,
      ],
      [
        'wants ten thousand pages at once',
        'await Promise.allSettled(Array.from({ length: 10_000 }, () => fetch(a.url + "/headers").then((r) => r.text())))',
      ],
      [
        'sends a body that the server does not read',
        'await fetch(a.url + "/silent", { method: "POST", duplex: "half", signal: AbortSignal.timeout(1500), body: new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)) } }) }).catch(() => {})',
      ],
    ])('that %s', async (what, text) => {
      const url = `http://allowed.test:${ports.plain}`;
      const args = { code: text, url, warmUp: warmUp() };
      const { end, grownBytes } = await apart(CODE, args, {}, 40_000);
      expect(end).toMatchObject({ status: 'ok' });
      // What many short requests leave behind is for the collector, which comes when it likes.
      const garbageBytes = what.includes('ten thousand') ? GROWTH_BYTES_MAX : 0;
      expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX + garbageBytes);
    });

    test('that asks without reading any answer', async () => {
      const url = `http://allowed.test:${ports.plain}/headers`;
      const args = { attack: 'deaf', url, warmUp: { attack: 'unknown request', url } };
      const { end, records, grownBytes } = await apart(tool('forge-requests.mjs'), args, {}, 6000);
      // Held up at its first hundred requests, until its deadline.
      expect(end.status).toBe('timeout');
      expect(records.length).toBeLessThan(200);
      expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
    });
  });
});
