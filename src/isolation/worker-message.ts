import { z } from 'zod';
import { FETCH_PIECE_BYTES_MAX, FETCHES_MAX } from '../../worker/fetch-protocol.ts';
import {
  FRAME_OVERHEAD_BYTES,
  IJsonError,
  LOG_CHARS_MAX,
  parseIJson,
  RESULT_DEPTH_MAX,
  type WorkerMessage,
} from '../../worker/protocol.ts';

const callId = z.string().max(64);
/** Of a request: what may not be asked for at all is said by its broker. */
const id = z.int().min(1).max(FETCHES_MAX);
const data = z
  .string()
  .min(1)
  .max(4 * Math.ceil(FETCH_PIECE_BYTES_MAX / 3));
const request = z.strictObject({
  method: z.string(),
  url: z.string(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.strictObject({ bytes: z.number().exactOptional() }).exactOptional(),
});

/** What a worker may say. Anything else ends the call as a protocol violation. */
const workerMessage: z.ZodType<WorkerMessage> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('refused'), message: z.string().max(LOG_CHARS_MAX) }),
  z.strictObject({ type: z.literal('log'), callId, message: z.string().max(LOG_CHARS_MAX) }),
  z.strictObject({
    type: z.literal('progress'),
    callId,
    done: z.number().nonnegative(),
    total: z.number().nonnegative(),
  }),
  z.strictObject({ type: z.literal('fetch'), callId, id, request }),
  z.strictObject({ type: z.literal('fetch-data'), callId, id, data }),
  z.strictObject({ type: z.literal(['fetch-pull', 'fetch-end', 'fetch-cancel']), callId, id }),
  z.strictObject({ type: z.literal('result'), callId, value: z.unknown().optional() }),
  z.strictObject({
    type: z.literal('failed'),
    callId,
    code: z.enum([
      'ENF_TOOL_FAILED',
      'ENF_TOOL_LOAD',
      'ENF_TOOL_EXPORT',
      'ENF_TOOL_RESULT',
      'ENF_LIMIT_OUTPUT',
    ]),
    message: z.string().max(LOG_CHARS_MAX),
  }),
]);

/** Why a frame is not a message. Never quotes the frame. */
export class WorkerMessageError extends Error {
  override readonly name = 'WorkerMessageError';
}

/**
 * Parses one frame: size, then depth, duplicate keys and numbers by a scan, then the shape.
 *
 * The contents are still whatever the tool wanted them to be.
 *
 * @param frame - UNTRUSTED text, already bounded by the frame decoder
 * @throws {WorkerMessageError} on anything but one well-formed message
 */
export function parseWorkerMessage(frame: string, frameBytesMax: number): WorkerMessage {
  const parsed = workerMessage.safeParse(parseFrame(frame, frameBytesMax));
  if (parsed.success) return parsed.data;
  throw new WorkerMessageError('a message of no known shape');
}

function parseFrame(frame: string, frameBytesMax: number): unknown {
  try {
    return parseIJson(frame, 'message', {
      depthMax: RESULT_DEPTH_MAX + 1,
      bytesMax: frameBytesMax,
    });
  } catch (cause) {
    if (cause instanceof IJsonError) throw new WorkerMessageError(cause.message);
    throw cause;
  }
}

/** Largest frame for a result of `outputBytes`. */
export function frameBytesMaxFor(outputBytes: number): number {
  return outputBytes + FRAME_OVERHEAD_BYTES;
}
