/**
 * What a worker thread runs, started by piscina. A thread shares the process with its supervisor: it
 * bounds loops and heap growth of trusted code and is no boundary against hostile code.
 */
import type { AbortMessage, ThreadNotice, ThreadTask, ToolEnd } from './protocol.ts';
import { LOG_CHARS_MAX } from './protocol.ts';
import { runTool } from './run-tool.ts';

/** Runs one task. The supervisor terminates the thread when it takes too long. */
export async function runTask({ start, port, outputBytesMax }: ThreadTask): Promise<ToolEnd> {
  const post = (notice: ThreadNotice): void => port.postMessage(notice);
  const abort = new AbortController();
  port.on('message', ({ reason }: AbortMessage) => abort.abort(new Error(reason)));
  redirect('stdout', outputBytesMax, post);
  redirect('stderr', outputBytesMax, post);
  return runTool(start, {
    signal: abort.signal,
    log: (message) => post({ type: 'log', message: String(message).slice(0, LOG_CHARS_MAX) }),
    progress: (done, total) => post({ type: 'progress', done: Number(done), total: Number(total) }),
  });
}

/** Threads share the descriptors of the process: without this the tool prints on its terminal. */
function redirect(
  name: 'stdout' | 'stderr',
  bytesMax: number,
  post: (notice: ThreadNotice) => void,
): void {
  let bytes = 0;
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    const room = bytesMax - bytes;
    bytes += Buffer.byteLength(text);
    if (room > 0) post({ type: name, text: text.slice(0, room) });
    if (bytes > bytesMax && room >= 0) post({ type: 'overflow' });
    const done = rest.find((argument) => typeof argument === 'function');
    if (typeof done === 'function') queueMicrotask(() => done());
    return true;
  };
  process[name].write = write;
}
