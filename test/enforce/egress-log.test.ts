import { expect, test } from 'vitest';
import type { AuditEntry, AuditTrail } from '../../src/audit/index.ts';
import { EgressLog } from '../../src/enforce/egress-log.ts';

const record = (port: number) =>
  ({ host: 'example.com', port, bytesIn: 1, bytesOut: 2, effect: 'allow' }) as const;

function trailThat(append: (entry: AuditEntry) => Promise<unknown>): AuditTrail {
  return { append } as unknown as AuditTrail;
}

test('writes every connection under the id of its call', async () => {
  const written: AuditEntry[] = [];
  const log = new EgressLog(
    trailThat(async (entry) => written.push(entry)),
    'call-1',
  );
  log.add({ ...record(1), addresses: [] });
  log.add({ ...record(2), addresses: [], effect: 'deny', reason: 'not-allowed' });
  expect(await log.firstFailure()).toBeUndefined();
  expect(written).toEqual([
    { type: 'egress', callId: 'call-1', ...record(1) },
    { type: 'egress', callId: 'call-1', ...record(2), effect: 'deny', reason: 'not-allowed' },
  ]);
});

test('keeps what failed for the end of the call, and is no unhandled rejection until then', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (cause: unknown) => unhandled.push(cause);
  process.on('unhandledRejection', onUnhandled);
  const failures = [new Error('disk full'), new Error('closed')];
  const log = new EgressLog(
    trailThat(() => Promise.reject(failures.shift())),
    'call-1',
  );
  const [first] = failures;
  log.add({ ...record(1), addresses: [] });
  log.add({ ...record(2), addresses: [] });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
  expect(await log.firstFailure()).toBe(first);
});

test('writes nothing where audit is off', async () => {
  const log = new EgressLog(null, 'call-1');
  log.add({ ...record(1), addresses: [] });
  expect(await log.firstFailure()).toBeUndefined();
});
