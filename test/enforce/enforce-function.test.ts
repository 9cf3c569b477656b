import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { currentCall, enforce } from '../../src/enforce/index.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';

const POLICY = { name: 'functions', denied_tools: ['forbidden'] };
const OPTIONS = { policy: POLICY, audit: false, trusted: ['isolation'] } as const;

describe('enforce as a wrapper', () => {
  test('makes a function asynchronous, sync or not', async () => {
    function plus(a: number, b = 10): number {
      return a + b;
    }
    const add = enforce(plus, OPTIONS);
    expect(await add(1)).toBe(11);
    expect(await add(1, undefined)).toBe(11);
    expect(await enforce(async (n: number) => n * 2, { ...OPTIONS, tool: 'twice' })(4)).toBe(8);
  });

  test('goes by the name of the function unless another is given', async () => {
    function forbidden() {
      return 1;
    }
    await expect(enforce(forbidden, OPTIONS)()).rejects.toMatchObject({
      name: 'CallDeniedError',
      code: 'ENF_DENIED_TOOL',
    });
    expect(await enforce(forbidden, { ...OPTIONS, tool: 'harmless' })()).toBe(1);
  });

  test('refuses a function without a name, and says so', async () => {
    await expect(
      enforce(
        (
          () => () =>
            1
        )(),
        OPTIONS,
      )(),
    ).rejects.toMatchObject({
      code: 'ENF_CALL_TOOL_NAME',
    });
  });

  test('redacts arguments and results, by the names of the parameters', async () => {
    const seen: unknown[] = [];
    const search = enforce(
      (query: string, page?: number) => {
        seen.push(query, page);
        return ['ann', 'example.com'].join('@');
      },
      { ...OPTIONS, tool: 'search', params: ['query', 'page'] },
    );
    expect(await search('mail bob@example.org')).toBe('<EMAIL>');
    expect(seen).toEqual(['mail <EMAIL>', undefined]);
  });

  test('rejects with the error of the outcome when the function fails', async () => {
    const fails = enforce(
      (): number => {
        throw new TypeError('of ann@example.com');
      },
      { ...OPTIONS, tool: 'fails' },
    );
    await expect(fails()).rejects.toMatchObject({
      name: 'ToolError',
      code: 'ENF_TOOL_FAILED',
      message: 'tool `fails`: TypeError: of <EMAIL>',
    });
  });

  test('returns what JSON does not hold', async () => {
    expect(await enforce(() => 5n, { ...OPTIONS, tool: 'big' })()).toBe(5n);
    expect(await enforce(() => new Map([[1, 2]]), { ...OPTIONS, tool: 'map' })()).toEqual(
      new Map([[1, 2]]),
    );
    expect(await enforce(() => undefined, { ...OPTIONS, tool: 'none' })()).toBeUndefined();
  });

  test('ends at the deadline and says that the function may run on', async () => {
    const policy = { ...POLICY, resource_limits: { max_call_duration_seconds: 0.05 } };
    const hang = enforce(() => new Promise(() => {}), { ...OPTIONS, policy, tool: 'hang' });
    await expect(hang()).rejects.toMatchObject({
      name: 'LimitExceededError',
      code: 'ENF_LIMIT_WALL',
      details: { stopped: false },
    });
  });

  test('refuses a limit that needs isolation, unless it is waived', async () => {
    const policy = { name: 'strict', resource_limits: { max_memory_mb: 100 } };
    const options = { policy, audit: false, tool: 'f' } as const;
    await expect(enforce(() => 1, options)()).rejects.toMatchObject({
      code: 'ENF_ISOLATION_UNAVAILABLE',
      message: expect.stringContaining('max_memory_mb'),
    });
    expect(await enforce(() => 1, { ...options, trusted: ['memory'] })()).toBe(1);
  });

  test('looks again at a policy file that was repaired', async () => {
    const file = join(testFolder(), 'policy.yaml');
    writeFileSync(file, 'name: x\nalowed_tools: []\n');
    const call = enforce(() => 1, { policy: file, audit: false, tool: 'f' });
    await expect(call()).rejects.toMatchObject({ code: 'ENF_POLICY_INVALID' });
    writeFileSync(file, 'name: x\n');
    expect(await call()).toBe(1);
  });

  test('opens its policy once for parallel first calls', async () => {
    const call = enforce((n: number) => n, { ...OPTIONS, tool: 'echo' });
    expect(await Promise.all([call(1), call(2), call(3)])).toEqual([1, 2, 3]);
  });

  test('shares the counters of the process', async () => {
    const policy = { name: 'one-at-a-time', resource_limits: { max_concurrent_calls: 1 } };
    let release: (() => void) | null = null;
    const first = enforce(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
      { policy, audit: false, tool: 'first' },
    );
    const second = enforce(() => 2, { policy, audit: false, tool: 'second' });
    const running = first();
    await expect.poll(() => release).not.toBeNull();
    await expect(second()).rejects.toMatchObject({ code: 'ENF_DENIED_CONCURRENCY' });
    (release as (() => void) | null)?.();
    await running;
    expect(await second()).toBe(2);
  });
});

/** What the compiler makes of `@decorator` on a method; Node 20 and the test runner lack the syntax. */
function decorate(target: object, name: string, decorator: unknown): void {
  const method: unknown = Reflect.get(target, name);
  const context = { kind: 'method', name, static: typeof target === 'function', private: false };
  const decorated = (decorator as (...of: unknown[]) => unknown)(method, context);
  Object.defineProperty(target, name, { value: decorated });
}

describe('enforce as a decorator of methods', () => {
  class Store {
    readonly prefix = 'got ';

    async read(key: string, suffix = '!'): Promise<string> {
      return `${this.prefix}${key}${suffix}`;
    }

    async forbidden(): Promise<number> {
      return 1;
    }

    static async create(): Promise<string> {
      return 'made';
    }
  }
  const decorator = enforce({ ...OPTIONS });
  decorate(Store.prototype, 'read', decorator);
  decorate(Store.prototype, 'forbidden', decorator);
  decorate(Store, 'create', enforce({ ...OPTIONS, tool: 'of_class' }));

  test('keeps `this`, defaults and the name', async () => {
    const store = new Store();
    expect(await store.read('a')).toBe('got a!');
    expect(await store.read('a', undefined)).toBe('got a!');
    await expect(store.forbidden()).rejects.toMatchObject({ code: 'ENF_DENIED_TOOL' });
  });

  test('works on static methods', async () => {
    expect(await Store.create()).toBe('made');
  });

  test.each<[string, unknown]>([
    ['an experimental decorator, which gets a name', 'read'],
    ['a field', { kind: 'field', name: 'x' }],
    ['a class', { kind: 'class', name: 'X' }],
  ])('refuses %s', (_kind, context) => {
    const decorate = enforce({ policy: POLICY }) as (method: unknown, context: unknown) => unknown;
    expect(() => decorate(() => 1, context)).toThrow('standard decorator');
  });
});

describe('misuse is thrown at once, not at the first call', () => {
  test.each<[string, object]>([
    ['an unknown option', { polcy: {} }],
    ['an unknown trust', { trusted: ['all'] }],
    ['a name twice', { params: ['a', 'a'] }],
  ])('%s', (_kind, options) => {
    expect(() => enforce(() => 1, options as never)).toThrow(
      expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
    );
  });
});

describe('a function that wants to know when to stop', () => {
  /** Resolves with what its signal says when it fires. */
  const untilStopped = (): Promise<string> =>
    new Promise((_resolve, reject) => {
      const signal = currentCall()?.signal;
      signal?.addEventListener('abort', () => {
        stopped.push(String((signal.reason as Error).message));
        reject(signal.reason);
      });
    });
  const stopped: string[] = [];

  test('is told by the signal of its call before the deadline', async () => {
    const policy = { ...POLICY, resource_limits: { max_call_duration_seconds: 0.2 } };
    const run = enforce(untilStopped, { ...OPTIONS, policy, tool: 'wait' });
    await expect(run()).rejects.toMatchObject({ name: 'ToolError' });
    expect(stopped).toEqual(['the deadline is near']);
  });
});
