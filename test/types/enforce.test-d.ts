import { expectTypeOf, test } from 'vitest';
import {
  createDryRun,
  createEnforcer,
  type Decision,
  type DryRunResult,
  dryRun,
  type EnforceError,
  type Enforcer,
  enforce,
  type Failure,
  type Json,
  type LimitKind,
  type Outcome,
  runIsolated,
  unwrap,
} from '../../src/index.ts';

declare const enforcer: Enforcer;
declare const outcome: Outcome<number>;

test('an outcome narrows by its status', () => {
  if (outcome.status === 'ok') {
    expectTypeOf(outcome.value).toEqualTypeOf<number>();
    // @ts-expect-error an outcome that is ok has no error
    outcome.error;
  } else {
    expectTypeOf(outcome.error).toEqualTypeOf<EnforceError>();
    expectTypeOf(outcome.status).toEqualTypeOf<Failure>();
    expectTypeOf(outcome.limit).toEqualTypeOf<LimitKind | undefined>();
    // @ts-expect-error an outcome that failed has no value
    outcome.value;
  }
  expectTypeOf(outcome.stdout).toBeString();
});

test('unwrap gives the value', () => {
  expectTypeOf(unwrap(outcome)).toEqualTypeOf<number>();
});

test('run and runIsolated give JSON unless the caller claims more', async () => {
  expectTypeOf(await enforcer.run('x.mjs')).toEqualTypeOf<Outcome<Json | undefined>>();
  expectTypeOf(await enforcer.run<{ a: 1 }>('x.mjs')).toEqualTypeOf<Outcome<{ a: 1 }>>();
  expectTypeOf(await runIsolated('x.mjs', {})).toEqualTypeOf<Outcome<Json | undefined>>();
  expectTypeOf(await runIsolated<string>({ command: ['ls'] })).toEqualTypeOf<Outcome<string>>();
});

test('targets and options are held to their shape', () => {
  void enforcer.run({ module: 'x.mjs', export: 'y' }, null, { signal: AbortSignal.timeout(1) });
  // @ts-expect-error a command has at least a program
  void enforcer.run({ command: [] });
  // @ts-expect-error there is no such option
  void enforcer.run('x.mjs', {}, { timeout: 5 });
  // @ts-expect-error there is no such tier
  void enforcer.run('x.mjs', {}, { isolation: 'vm' });
  // @ts-expect-error there is no such option
  void createEnforcer({ polcy: 'x.yaml' });
  // @ts-expect-error a trail is a place or false
  void createEnforcer({ audit: true });
  // @ts-expect-error the counters of one-off calls are those of the process
  void runIsolated('x.mjs', {}, { store: undefined });
});

test('wrap keeps parameters and promises the result', () => {
  const sync = enforcer.wrap('f', (a: number, b?: string) => `${a}${b}`);
  expectTypeOf(sync).toEqualTypeOf<(a: number, b?: string) => Promise<string>>();
  const async = enforcer.wrap('f', async () => 1);
  expectTypeOf(async).toEqualTypeOf<() => Promise<number>>();
  // @ts-expect-error there is no such trust
  enforcer.wrap('f', () => 1, { trusted: ['all'] });
});

test('enforce says that a synchronous function becomes asynchronous', () => {
  const search = enforce((query: string) => query.length, { params: ['query'] });
  expectTypeOf(search).toEqualTypeOf<(query: string) => Promise<number>>();
  expectTypeOf(enforce(async (n: bigint) => n)).toEqualTypeOf<(n: bigint) => Promise<bigint>>();
  // @ts-expect-error arguments keep their types
  void search(5);
});

test('enforce decorates asynchronous methods, and no other', () => {
  class Store {
    @enforce({ policy: 'x.yaml' })
    async read(key: string, limit = 1): Promise<string> {
      return key.repeat(limit);
    }

    @enforce({ tool: 'of_class' })
    static async create(): Promise<number> {
      return 1;
    }

    // @ts-expect-error a decorator cannot make a synchronous method asynchronous
    @enforce({})
    size(): number {
      return 1;
    }

    // @ts-expect-error only methods are decorated
    @enforce({})
    field = 1;
  }
  expectTypeOf<Store['read']>().toEqualTypeOf<(key: string, limit?: number) => Promise<string>>();
});

test('a scope gives what its body gives', () => {
  expectTypeOf(enforcer.scope({ context: { agent: 'a' } }, () => 1)).toEqualTypeOf<
    Promise<number>
  >();
  expectTypeOf(enforcer.scope({}, async (scope) => scope)).toEqualTypeOf<Promise<Enforcer>>();
  // @ts-expect-error there is no such key
  void enforcer.scope({ context: { user: 'x' } }, () => 1);
});

test('a dry run takes calls as they come and gives decisions as they go', async () => {
  const calls = [{ tool: 'a', args: { n: 1 }, at: 5 }, { tool: 'b' }];
  expectTypeOf(dryRun(calls, 'x.yaml')).toEqualTypeOf<
    AsyncGenerator<DryRunResult, void, undefined>
  >();
  for await (const result of dryRun(calls, { name: 'x' }, { intervalMs: 10 })) {
    expectTypeOf(result.decision).toEqualTypeOf<Decision>();
    // @ts-expect-error nothing is reserved in a dry run
    result.decision.reservations;
  }
  const trial = await createDryRun('x.yaml');
  // @ts-expect-error a call names its tool
  void trial.judge({ args: {} });
  // @ts-expect-error there is no such option
  void createDryRun('x.yaml', { audit: false });
});
