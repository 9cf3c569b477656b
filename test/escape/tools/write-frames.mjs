// Writes to the channel whatever it is told to, as a tool and, for the control, as a program.
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';

const frame = (json) => {
  const body = Buffer.from(json);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
};

function writeAll(bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(3, bytes, at);
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(0);
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

const attacks = {
  garbage: () => writeAll(Buffer.from('not json\n')),
  handle: () =>
    writeAll(Buffer.from('{"cmd":"NODE_HANDLE","type":"net.Socket"}\n{"cmd":"NODE_HANDLE_ACK"}\n')),
  flood: () => {
    for (;;)
      writeAll(Buffer.concat([Buffer.from([0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(1 << 20, 0x61)]));
  },
  messages: (callId) => {
    const one = frame(`{"type":"log","callId":"${callId}","message":"m"}`);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => one));
    for (let n = 0; n < 200; n += 1) writeAll(many);
  },
  deep: () =>
    writeAll(frame(`{"type":"log","message":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)),
  proto: (callId) =>
    writeAll(
      frame(
        `{"type":"result","callId":"${callId}","value":{"__proto__":{"isAdmin":1}},"__proto__":{"isAdmin":1}}`,
      ),
    ),
  'other-call': () => writeAll(frame('{"type":"result","callId":"00000000","value":"forged"}')),
  fields: (callId) =>
    writeAll(
      frame(
        `{"type":"result","callId":"${callId}","value":1,"decision":"forged","cpuMs":-42,"layers":["forged"],"auditHash":"forged"}`,
      ),
    ),
};

/** Waits for the frame with the call id that the worker of this very process sends. */
function callId() {
  return new Promise((resolve) => {
    const original = Socket.prototype.write;
    Socket.prototype.write = function write(chunk, ...rest) {
      const text = Buffer.isBuffer(chunk) ? chunk.toString('latin1') : '';
      const found = /"callId":"([^"]+)"/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
      return original.call(this, chunk, ...rest);
    };
  });
}

export default async ({ attack }, context) => {
  const known = callId();
  context.log('say it');
  attacks[attack](await known);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return 'honest';
};

if (process.argv[2] !== undefined && process.argv[1]?.endsWith('write-frames.mjs')) {
  attacks[process.argv[2]]('own');
}
