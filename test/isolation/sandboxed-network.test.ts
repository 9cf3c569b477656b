import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ToolTarget } from '../../src/call.ts';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import { type LinuxHost, probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import type { Runner } from '../../src/isolation/runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

const host = await probeLinuxHost();
const canSandbox = !('cause' in host) && typeof host.bubblewrap === 'string';
if (!canSandbox) requireLayer('bwrap');

const CURL = '/usr/bin/curl';
const PYTHON = '/usr/bin/python3';
const URLLIB =
  'import urllib.request as u, sys; print(u.urlopen(sys.argv[1], timeout=5).read().decode())';

describe.skipIf(!canSandbox)('a sandboxed tool whose policy names domains', () => {
  let server: Server;
  let port: number;
  let runner: Runner;
  const hits: string[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      hits.push(request.url ?? '');
      response.end(`page ${request.url}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
    // Names of the test lead to loopback, which the real rule never connects to.
    runner = new LinuxRunner('isolated', host as LinuxHost, [], {
      resolve: async () => ['127.0.0.1'],
      forbidden: { has: () => false },
    });
  });
  afterAll(async () => {
    await runner.close();
    server.closeAllConnections();
    server.close();
  });

  async function run(target: ToolTarget, args: unknown = {}) {
    const records: EgressRecord[] = [];
    const job = await makeJob(target, args);
    const network = { allowedDomains: ['allowed.test'], deniedDomains: [] };
    const confined = { ...job.confinement, network };
    const onEgress = (record: EgressRecord): void => void records.push(record);
    const report = await runner.run({ ...job, confinement: confined, onEgress });
    return { ...report, records };
  }

  test.each(['fetch', 'http'])('reaches an allowed domain by %s', async (client) => {
    const url = `http://allowed.test:${port}/${client}`;
    const { end, records } = await run(tool('fetch-url.mjs'), { client, url });
    expect(end).toEqual({ status: 'ok', value: `page /${client}` });
    expect(records).toMatchObject([{ host: 'allowed.test', port, effect: 'allow' }]);
  });

  test.each([
    ['another domain', 'http://other.test'],
    ['an address', 'http://127.0.0.1'],
  ])('does not reach %s', async (_what, origin) => {
    const before = hits.length;
    const url = `${origin}:${port}/secret`;
    const { end } = await run(tool('fetch-url.mjs'), { client: 'fetch', url });
    expect(end).toMatchObject({ status: 'ok', value: { refused: expect.any(String) } });
    expect(hits.length).toBe(before);
  });

  test('would reach the address from an unprotected process', async () => {
    const unprotected = new ProcessRunner();
    const url = `http://127.0.0.1:${port}/control`;
    const { end } = await unprotected.run(
      await makeJob(tool('fetch-url.mjs'), { client: 'fetch', url }),
    );
    await unprotected.close();
    expect(end).toEqual({ status: 'ok', value: 'page /control' });
  });

  test.skipIf(!existsSync(CURL)).each([
    ['allowed.test', 'page /curl'],
    ['other.test', ''],
  ])('curl, unchanged, gets %s: %j', async (domain, page) => {
    const url = `http://${domain}:${port}/curl`;
    const { end, records } = await run({ command: [CURL, '-fsS', '-m', '5', url] });
    expect(end).toMatchObject(
      page === '' ? { status: 'tool-error' } : { status: 'ok', value: page },
    );
    expect(records[0]?.effect).toBe(page === '' ? 'deny' : 'allow');
  });

  test.skipIf(!existsSync(PYTHON))('urllib of Python, unchanged, reaches it', async () => {
    const url = `http://allowed.test:${port}/python`;
    const { end, stderr } = await run({ command: [PYTHON, '-I', '-c', URLLIB, url] });
    expect({ end, stderr }).toEqual({ end: { status: 'ok', value: 'page /python' }, stderr: '' });
  });
});
