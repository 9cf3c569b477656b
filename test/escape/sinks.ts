import dgram from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';

/** Something on this host that a tool must not reach, and whether anything arrived. */
export interface Sink {
  readonly port: number;
  readonly count: () => number;
  readonly close: () => void;
}

/** A TCP port on loopback, or a unix socket by path or abstract name. */
export async function listenStream(path?: string): Promise<Sink> {
  let count = 0;
  const server: Server = createServer((socket) => {
    count += 1;
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
  });
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  return { port, count: () => count, close: () => void server.close() };
}

/** A UDP port on loopback. */
export async function listenDatagram(): Promise<Sink> {
  let count = 0;
  const socket = dgram.createSocket('udp4', () => {
    count += 1;
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, count: () => count, close: () => void socket.close() };
}
