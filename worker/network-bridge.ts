/**
 * The far side of the egress proxy. A sandbox has a network of its own with nothing in it but
 * loopback; the way out is a unix socket that the supervisor mounted into it. This file makes the
 * tool's connections go there without the tool being asked: those of this process by taking over
 * `Socket.connect`, through which fetch, undici, http, https and every other client of Node go, and
 * those of child processes by a port on loopback and the usual `*_PROXY` variables.
 *
 * Nothing here protects anything. The tool may undo it, and then reaches nothing at all.
 */
import { createServer, type Server, Socket, type SocketConnectOpts } from 'node:net';
import { domainToASCII } from 'node:url';

const HEAD_BYTES_MAX = 16_384;
const LOCAL = /^(localhost|(.*\.)?localhost\.?|127\.\d+\.\d+\.\d+|::1|0\.0\.0\.0|::)$/i;

/** Where the proxy is and what it wants to hear. */
export interface Way {
  /** The mounted unix socket. */
  readonly socketPath: string;
  /** `user:password`. */
  readonly credentials: string;
}

type Connect = typeof Socket.prototype.connect;

/**
 * Opens a port on loopback that leads to the proxy, for programs that know proxies only as a host
 * and a port. Does not keep the process alive.
 *
 * @returns the port
 */
export async function openBridge({ socketPath }: Way): Promise<number> {
  const connect = Socket.prototype.connect;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const proxy = new Socket({ allowHalfOpen: true });
    join(client, proxy);
    Reflect.apply(connect, proxy, [{ path: socketPath }]);
  });
  server.unref();
  return await listen(server);
}

/** What tells curl, Python, npm and newer Nodes to use the bridge. */
export function proxyEnvironment(port: number, { credentials }: Way): Record<string, string> {
  const url = `http://${credentials}@127.0.0.1:${port}`;
  const names = ['http_proxy', 'https_proxy', 'all_proxy'];
  return {
    ...Object.fromEntries(
      names.flatMap((name) => [
        [name, url],
        [name.toUpperCase(), url],
      ]),
    ),
    no_proxy: 'localhost,127.0.0.1,::1',
    NO_PROXY: 'localhost,127.0.0.1,::1',
    NODE_USE_ENV_PROXY: '1',
  };
}

/**
 * Makes every TCP connection of this process that does not stay on loopback a tunnel through the
 * proxy. Worker threads have a `Socket` of their own and are not reached by it.
 *
 * A refused tunnel fails as a refused connection does, with code EACCES and the proxy's reason.
 */
export function routeConnections(way: Way): void {
  const connect = Socket.prototype.connect;
  const routed = function (this: Socket, ...args: readonly unknown[]): Socket {
    const { options, listener } = readArguments(args);
    if (options === null || !('port' in options) || LOCAL.test(options.host ?? 'localhost'))
      return Reflect.apply(connect, this, args);
    const { host = '', port } = options;
    if (listener !== undefined) this.once('connect', listener);
    // As after the real call: what is written now waits for `connect`.
    Object.assign(this, { connecting: true });
    connectThrough(connect, way, { socket: this, host, port: Number(port) });
    return this;
  };
  Socket.prototype.connect = routed as Connect;
}

interface Destination {
  readonly socket: Socket;
  readonly host: string;
  readonly port: number;
}

function connectThrough(connect: Connect, way: Way, { socket, host, port }: Destination): void {
  openTunnel(connect, way, host, port)
    .then(async (tunnel) => await offerOnce(tunnel))
    .then(
      (local) => {
        if (!socket.destroyed) Reflect.apply(connect, socket, [{ port: local, host: '127.0.0.1' }]);
      },
      (error: Error) => socket.destroy(error),
    );
}

/** The forms of net.connect; inside Node an array of options and listener is one more. */
function readArguments(args: readonly unknown[]): {
  readonly options: SocketConnectOpts | null;
  readonly listener: (() => void) | undefined;
} {
  const [first, ...rest] = Array.isArray(args[0]) ? args[0] : args;
  const listener = rest.find((arg): arg is () => void => typeof arg === 'function');
  if (typeof first === 'object' && first !== null) return { options: first, listener };
  if (!/^\d+$/.test(String(first))) return { options: null, listener };
  const host = rest.find((arg): arg is string => typeof arg === 'string');
  return { options: { port: Number(first), ...(host === undefined ? {} : { host }) }, listener };
}

async function openTunnel(
  connect: Connect,
  { socketPath, credentials }: Way,
  host: string,
  port: number,
): Promise<Socket> {
  const target = `${authorityOf(host)}:${port}`;
  const tunnel = new Socket({ allowHalfOpen: true });
  Reflect.apply(connect, tunnel, [{ path: socketPath }]);
  const authorization = Buffer.from(credentials).toString('base64');
  tunnel.write(
    `CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: Basic ${authorization}\r\n\r\n`,
  );
  const head = await readHead(tunnel);
  if (/^HTTP\/1\.1 200 /.test(head)) return tunnel;
  tunnel.destroy();
  const reason = head.slice(head.indexOf('\r\n\r\n') + 4).trim();
  throw refusal(host, port, reason);
}

/** A host that is no host name must not become a header line. */
function authorityOf(host: string): string {
  if (host.includes(':') && /^[0-9a-f:.]+$/i.test(host)) return `[${host}]`;
  return /[\s/\\?#@:%]/.test(host) ? 'invalid' : domainToASCII(host) || 'invalid';
}

function refusal(host: string, port: number, reason: string): Error {
  return Object.assign(new Error(`connect EACCES ${host}:${port} (${reason || 'no answer'})`), {
    code: 'EACCES',
    syscall: 'connect',
    address: host,
    port,
  });
}

/** The proxy's answer as far as the end of its headers; a refusal's text follows and ends it. */
async function readHead(tunnel: Socket): Promise<string> {
  let head = '';
  for (;;) {
    const chunk = await nextChunk(tunnel);
    if (chunk === null) return head;
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    const isOpen = head.startsWith('HTTP/1.1 200 ');
    if (head.length > HEAD_BYTES_MAX && (end < 0 || !isOpen)) return '';
    if (end < 0 || !isOpen) continue;
    const rest = head.slice(end + 4);
    if (rest !== '') tunnel.unshift(Buffer.from(rest, 'latin1'));
    return head.slice(0, end + 4);
  }
}

async function nextChunk(tunnel: Socket): Promise<Buffer | null> {
  return await new Promise((resolve) => {
    const settle = (chunk: Buffer | null) => {
      for (const [event, listener] of Object.entries(listeners)) tunnel.off(event, listener);
      tunnel.pause();
      resolve(chunk);
    };
    const listeners = {
      data: (chunk: Buffer) => settle(chunk),
      end: () => settle(null),
      error: () => settle(null),
      close: () => settle(null),
    };
    for (const [event, listener] of Object.entries(listeners)) tunnel.on(event, listener);
    tunnel.resume();
  });
}

/** A port on loopback that takes one connection and leads it into the tunnel. */
async function offerOnce(tunnel: Socket): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    server.close();
    join(client, tunnel);
  });
  tunnel.once('close', () => server.close());
  return await listen(server);
}

async function listen(server: Server): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

/** One end that fails or is closed closes the other, after what was said is written. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroySoon());
    from.pipe(to);
  }
}
