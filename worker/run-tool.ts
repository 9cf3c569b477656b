import { pathToFileURL } from 'node:url';
import {
  encodeIJson,
  IJsonError,
  LOG_CHARS_MAX,
  RESULT_DEPTH_MAX,
  type StartMessage,
  type ToolEnd,
  type ToolFailureCode,
} from './protocol.ts';
import type { ToolContext } from './tool-context.ts';

type ToolFunction = (args: unknown, context: ToolContext) => unknown;

/**
 * Loads the module, calls the function that was asked for and serialises what it returns. Everything
 * that can spin or throw (imports, the call, getters, `toJSON`) happens here, in the worker's time.
 * Never rejects.
 */
export async function runTool(start: StartMessage, context: ToolContext): Promise<ToolEnd> {
  const loaded = await loadTool(start);
  if (!loaded.ok) return loaded;
  let value: unknown;
  try {
    value = await loaded.tool(start.args, context);
  } catch (cause) {
    return failed('ENF_TOOL_FAILED', messageOf(cause));
  }
  return serialise(value, start.resultBytesMax);
}

async function loadTool(
  start: StartMessage,
): Promise<{ readonly ok: true; readonly tool: ToolFunction } | (ToolEnd & { ok: false })> {
  let module: Record<string, unknown>;
  try {
    module = await import(pathToFileURL(start.module).href);
  } catch (cause) {
    return failed('ENF_TOOL_LOAD', messageOf(cause));
  }
  const tool = findExport(module, start.export);
  if (tool !== undefined) return { ok: true, tool };
  const wanted = start.export === undefined ? 'a default export' : `an export \`${start.export}\``;
  return failed(
    'ENF_TOOL_EXPORT',
    `the module must have ${wanted} that is a function, it exports ${listOf(module)}`,
  );
}

/** CommonJS and transpiled modules hide their exports behind one or two `default`s. */
function findExport(module: Record<string, unknown>, name = 'default'): ToolFunction | undefined {
  const inner = asRecord(module['default']);
  const candidates = [module[name], inner?.[name]];
  return candidates.find((candidate) => typeof candidate === 'function') as
    | ToolFunction
    | undefined;
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined;
}

function listOf(module: Record<string, unknown>): string {
  const names = Object.keys(module).filter((name) => typeof module[name] === 'function');
  return names.length === 0 ? 'no function' : names.slice(0, 20).join(', ');
}

function serialise(value: unknown, bytesMax: number): ToolEnd {
  if (value === undefined) return { ok: true, json: undefined };
  try {
    return {
      ok: true,
      json: encodeIJson(value, 'result', { depthMax: RESULT_DEPTH_MAX, bytesMax }),
    };
  } catch (cause) {
    const tooLarge = cause instanceof IJsonError && cause.reason === 'size';
    return failed(tooLarge ? 'ENF_LIMIT_OUTPUT' : 'ENF_TOOL_RESULT', messageOf(cause));
  }
}

function failed(code: ToolFailureCode, message: string): ToolEnd & { ok: false } {
  return { ok: false, code, message: message.slice(0, LOG_CHARS_MAX) };
}

/** The text of anything that was thrown; `String` itself may throw on a hostile object. */
function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    return 'the tool threw a value that cannot be read';
  }
}
