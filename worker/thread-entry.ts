/**
 * What a worker thread runs, started by piscina. A thread shares the process with its supervisor: it
 * bounds loops and heap growth of trusted code and is no boundary against hostile code.
 */
import type { AbortMessage, ThreadNotice, ThreadTask, ToolEnd } from './protocol.ts';
import { runTool } from './run-tool.ts';
import { createContext } from './tool-context.ts';

/** Runs one task. The supervisor terminates the thread when it takes too long. */
export async function runTask({ start, port, outputBytesMax }: ThreadTask): Promise<ToolEnd> {
  const post = (notice: ThreadNotice): void => port.postMessage(notice);
  const abort = new AbortController();
  port.on('message', ({ reason }: AbortMessage) => abort.abort(new Error(reason)));
  redirect('stdout', outputBytesMax, post);
  redirect('stderr', outputBytesMax, post);
  const { context, end } = createContext(abort.signal, post);
  try {
    return await runTool(start, context);
  } finally {
    end();
  }
}

/** Threads share the descriptors of the process: without this the tool prints on its terminal. */
function redirect(
  name: 'stdout' | 'stderr',
  bytesMax: number,
  post: (notice: ThreadNotice) => void,
): void {
  let room = bytesMax;
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const [encoding] = rest;
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : chunk;
    // A copy of its own: what is posted takes its whole memory block along.
    if (room > 0) post({ type: name, bytes: Uint8Array.from(bytes.subarray(0, room)) });
    if (room >= 0 && bytes.length > room) post({ type: 'overflow' });
    room -= bytes.length;
    const done = rest.find((argument) => typeof argument === 'function');
    if (typeof done === 'function') queueMicrotask(() => done());
    return true;
  };
  process[name].write = write;
}
