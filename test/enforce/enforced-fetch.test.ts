import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry, AuditTrail } from '../../src/audit/index.ts';
import { EnforcedFetch } from '../../src/enforce/enforced-fetch.ts';
import { openEnforcer } from '../fixtures/open-enforcer.ts';

let server: Server;
let port = 0;
const hits: string[] = [];
beforeAll(async () => {
  server = createServer((incoming, response) => {
    hits.push(incoming.url ?? '');
    if (incoming.url === '/away') response.writeHead(302, { location: 'http://evil.test/' }).end();
    else if (incoming.url === '/codings') {
      const coding = Array(6).fill('gzip').join(',');
      response.writeHead(200, { 'content-encoding': coding, 'content-length': '30' });
      response.write('abc', () => setTimeout(() => response.destroy(), 20));
    } else if (incoming.url === '/onward') {
      response.writeHead(302, { location: '/endless' }).end();
    } else if (incoming.url === '/endless') {
      const timer = setInterval(() => response.write('more '), 10);
      response.on('close', () => clearInterval(timer));
    } else if (incoming.url !== '/silent') response.end(`page ${incoming.url}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const ALLOWED = {
  rules: { allowedDomains: ['allowed.test', 'nowhere.test'], deniedDomains: [] },
  callId: 'call-1',
};

function open(append: (entry: AuditEntry) => Promise<unknown> = async () => undefined) {
  const entries: AuditEntry[] = [];
  const trail = {
    append: (entry: AuditEntry) => {
      entries.push(entry);
      return append(entry);
    },
  } as unknown as AuditTrail;
  const fetches = new EnforcedFetch(trail, {
    resolve: async (host) => (host === 'nowhere.test' ? [] : ['127.0.0.1']),
    forbidden: { has: () => false },
  });
  return { fetches, entries };
}

describe('a fetch of this process', () => {
  test('reaches what is allowed, and is recorded', async () => {
    const { fetches, entries } = open();
    const response = await fetches.fetch(ALLOWED, new URL(`http://allowed.test:${port}/x`));
    expect(await response.text()).toBe('page /x');
    await fetches.close();
    expect(entries).toMatchObject([
      { type: 'egress', callId: 'call-1', host: 'allowed.test', port, effect: 'allow' },
    ]);
  });

  test('takes a Request and what comes with it', async () => {
    const { fetches } = open();
    const request = new Request(`http://allowed.test:${port}/x`, { method: 'POST', body: 'x' });
    expect((await fetches.fetch(ALLOWED, request)).status).toBe(200);
  });

  test.each(['http://evil.test/', 'http://127.0.0.1/', 'http://allowed.test:PORT/away'])(
    'is denied with the host and the reason: %s',
    async (url) => {
      const { fetches, entries } = open();
      const attempt = fetches.fetch(ALLOWED, url.replace('PORT', String(port)));
      await expect(attempt).rejects.toMatchObject({
        name: 'CallDeniedError',
        code: 'ENF_DENIED_NETWORK',
        message: expect.stringMatching(/^a request to `(evil\.test|127\.0\.0\.1)`, port 80/),
        details: { port: 80, reason: 'not-allowed' },
      });
      expect(entries.at(-1)).toMatchObject({ effect: 'deny', reason: 'not-allowed' });
    },
  );

  test('fails as any fetch where nothing was denied', async () => {
    const { fetches } = open();
    const closed = fetches.fetch(ALLOWED, 'http://allowed.test:1000/');
    await expect(closed).rejects.toMatchObject({ name: 'TypeError', message: 'fetch failed' });
    await expect(fetches.fetch(ALLOWED, 'http://nowhere.test/')).rejects.toThrow('fetch failed');
    await expect(fetches.fetch(ALLOWED, 'no URL')).rejects.toThrow(TypeError);
  });

  test('does not bring a dispatcher of its own', async () => {
    const { fetches } = open();
    let isUsed = false;
    const dispatch = (): boolean => {
      isUsed = true;
      return true;
    };
    const init = { dispatcher: { dispatch } } as unknown as RequestInit;
    await (await fetches.fetch(ALLOWED, `http://allowed.test:${port}/`, init)).text();
    expect(isUsed).toBe(false);
  });

  test('is the last one when it could not be recorded', async () => {
    const { fetches } = open(() => Promise.reject(new Error('disk full')));
    const denied = fetches.fetch(ALLOWED, 'http://evil.test/');
    await expect(denied).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    const before = hits.length;
    const next = fetches.fetch(ALLOWED, `http://allowed.test:${port}/`);
    await expect(next).rejects.toMatchObject({ name: 'AuditError', code: 'ENF_AUDIT_WRITE' });
    expect(hits.length).toBe(before);
  });

  test('fails, and nothing else does, on an answer in more codings than fetch takes', async () => {
    const { fetches } = open();
    const attempt = fetches.fetch(ALLOWED, `http://allowed.test:${port}/codings`);
    await expect(attempt).rejects.toMatchObject({ name: 'TypeError' });
    await fetches.close();
  });

  test('ends when it is stopped after a redirect, and is recorded', async () => {
    const { fetches, entries } = open();
    const response = await fetches.fetch(ALLOWED, `http://allowed.test:${port}/onward`);
    const read = response.text();
    await fetches.close();
    await expect(read).rejects.toThrow();
    expect(entries).toHaveLength(2);
  });

  test('ends when it is stopped, and is recorded then', async () => {
    const { fetches, entries } = open();
    const attempt = fetches.fetch(ALLOWED, `http://allowed.test:${port}/silent`);
    const ended = expect(attempt).rejects.toThrow('fetch failed');
    while (hits.at(-1) !== '/silent') await new Promise((resolve) => setTimeout(resolve, 5));
    await fetches.close();
    await ended;
    expect(entries).toMatchObject([{ effect: 'allow', host: 'allowed.test' }]);
  });
});

describe('enforcer.fetch', () => {
  const url = () => `http://127.0.0.1:${port}/`;

  test('reaches nothing unless the policy says so', async () => {
    const { enforcer, entries } = await openEnforcer();
    await expect(enforcer.fetch(url())).rejects.toMatchObject({
      code: 'ENF_DENIED_NETWORK',
      details: { reason: 'no-network' },
    });
    expect(entries().filter(({ type }) => type === 'egress')).toMatchObject([
      { effect: 'deny', host: '127.0.0.1' },
    ]);
  });

  test('never connects to this host for a policy that names domains', async () => {
    const { enforcer } = await openEnforcer({ network: { allowed_domains: ['localhost'] } });
    const attempt = enforcer.fetch(`http://localhost:${port}/`);
    await expect(attempt).rejects.toMatchObject({ details: { reason: 'forbidden-address' } });
  });

  test('goes where it likes under an unrestricted policy', async () => {
    const { enforcer } = await openEnforcer({ network: 'unrestricted' });
    expect(await (await enforcer.fetch(url())).text()).toBe('page /');
  });

  test('in a function of `wrap` follows the rules of its tool, under its call', async () => {
    const { enforcer, entries } = await openEnforcer({
      isolation: {},
      network: { allowed_domains: ['127.0.0.1'] },
      tools: { closed: { network: 'none' } },
    });
    const load = (tool: string) =>
      enforcer.wrap(tool, async () => (await enforcer.fetch(url())).status, {
        trusted: ['network', 'memory', 'cpu', 'processes', 'files'] as never,
      })();
    await expect(load('closed')).rejects.toMatchObject({
      message: expect.stringContaining('no-network'),
    });
    const [decision, egress] = entries().filter(({ type }) =>
      ['decision', 'egress'].includes(String(type)),
    );
    expect(egress).toMatchObject({ effect: 'deny', call_id: decision?.['call_id'] });
  });

  test('makes no request while the kill switch is tripped, nor after the end', async () => {
    const { enforcer } = await openEnforcer({ network: 'unrestricted' });
    enforcer.killSwitch.trip('test');
    await expect(enforcer.fetch(url())).rejects.toMatchObject({ code: 'ENF_DENIED_KILL_SWITCH' });
    enforcer.killSwitch.reset('test');
    const under = enforcer.fetch(`${url()}silent`);
    const ended = expect(under).rejects.toThrow('fetch failed');
    while (hits.at(-1) !== '/silent') await new Promise((resolve) => setTimeout(resolve, 5));
    enforcer.killSwitch.trip('again');
    await ended;
    await enforcer.close({ graceMs: 0 });
    await expect(enforcer.fetch(url())).rejects.toMatchObject({ code: 'ENF_CALL_CLOSED' });
  });
});
