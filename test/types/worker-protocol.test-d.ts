import { expectTypeOf, test } from 'vitest';
import type { ErrorCode } from '../../src/index.ts';
import type { parseWorkerMessage } from '../../src/isolation/worker-message.ts';
import type {
  FetchMessage,
  StartMessage,
  SupervisorMessage,
  ToolFailureCode,
  WorkerMessage,
} from '../../worker/protocol.ts';

test('what the supervisor takes for a message is one of the protocol', () => {
  expectTypeOf<ReturnType<typeof parseWorkerMessage>>().toEqualTypeOf<WorkerMessage>();
});

test('every code a worker may send is one of ours', () => {
  expectTypeOf<ToolFailureCode>().toExtend<ErrorCode>();
});

test('messages are told apart by their type', () => {
  expectTypeOf<Extract<SupervisorMessage, { type: 'start' }>>().toEqualTypeOf<StartMessage>();
  expectTypeOf<Extract<WorkerMessage, { type: 'ready' }>>().toEqualTypeOf<{
    readonly type: 'ready';
  }>();
  expectTypeOf<WorkerMessage['type']>().toEqualTypeOf<
    'ready' | 'refused' | 'log' | 'progress' | 'result' | 'failed' | FetchMessage['type']
  >();
});
