import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type PooledWorker, WorkerPool } from '../../src/isolation/worker-pool.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const MB = 2 ** 20;

/** A worker that is only a record of what was done to it. */
class FakeWorker implements PooledWorker {
  readonly key: string;
  readonly memoryBytes: number;
  isEnded = false;
  fit = true;
  fail: () => void = () => {};

  constructor(key: string, memoryBytes = MB) {
    this.key = key;
    this.memoryBytes = memoryBytes;
  }

  isFit(): boolean {
    return this.fit;
  }

  onFault(act: () => void): void {
    this.fail = act;
  }

  async end(): Promise<void> {
    this.isEnded = true;
  }
}

const BOUNDS = { workersMax: 4, memoryMbMax: 1024, idleMs: 10_000 };

/** A pool, the workers that were started for it, and calls of a key that last until `leave`. */
function openPool(bounds: Partial<typeof BOUNDS> = {}, memoryBytes = MB) {
  const pool = new WorkerPool<FakeWorker>({ ...BOUNDS, ...bounds }, { clock: () => Date.now() });
  const started: FakeWorker[] = [];
  const prepare = (key: string) => async () => {
    const worker = new FakeWorker(key, memoryBytes);
    started.push(worker);
    return worker;
  };
  const enter = (key: string) => pool.enter(key, prepare(key));
  const alive = () => started.filter(({ isEnded }) => !isEnded);
  return { pool, started, enter, alive };
}

const settle = () => vi.advanceTimersByTimeAsync(100);

/** One call of a key, from beginning to end. */
async function call({ enter }: Pick<ReturnType<typeof openPool>, 'enter'>, key: string) {
  const { worker, leave } = enter(key);
  leave();
  await settle();
  return worker;
}

describe('a call', () => {
  test('finds nothing the first time, and a worker of its kind the next', async () => {
    const open = openPool();
    expect(await call(open, 'a')).toBeNull();
    expect(await call(open, 'a')).toMatchObject({ key: 'a' });
  });

  test('never finds the worker of another key', async () => {
    const open = openPool();
    await call(open, 'a');
    expect(open.pool.readyCount).toBe(1);
    expect(await call(open, 'b')).toBeNull();
  });

  test('is the only one that gets a worker', async () => {
    const open = openPool();
    await call(open, 'a');
    const [one, other] = [open.enter('a'), open.enter('a')];
    expect(one.worker).not.toBeNull();
    expect(other.worker).toBeNull();
  });

  test('that takes long does not keep the next worker from being started', async () => {
    const { pool, enter } = openPool();
    enter('a');
    await settle();
    expect(pool.readyCount).toBe(1);
  });

  test('may give its worker back for the next call of its key', async () => {
    const open = openPool();
    const own = new FakeWorker('a');
    open.enter('a').leave(own);
    expect(open.enter('a').worker).toBe(own);
  });
});

describe('a worker that lies ready', () => {
  test('and dies or speaks is ended, and replaced', async () => {
    const open = openPool();
    await call(open, 'a');
    open.started[0]?.fail();
    expect(open.pool.readyCount).toBe(0);
    await settle();
    expect(open.started[0]?.isEnded).toBe(true);
    expect(open.enter('a').worker).toBe(open.started[1]);
  });

  test('and dies again and again is not replaced for ever', async () => {
    const { started, enter } = openPool();
    enter('a').leave();
    for (let round = 0; round < 20; round += 1) {
      await settle();
      started.at(-1)?.fail();
    }
    expect(started.length).toBe(3);
  });

  test('and is not fit at its turn is ended instead of used', async () => {
    const open = openPool();
    await call(open, 'a');
    const [first] = open.started;
    if (first !== undefined) first.fit = false;
    expect(open.enter('a').worker).toBeNull();
    expect(first?.isEnded).toBe(true);
  });

  test('and is not asked for is ended after its idle time', async () => {
    const open = openPool();
    await call(open, 'a');
    await vi.advanceTimersByTimeAsync(9000);
    expect(open.alive()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(6100);
    expect(open.alive()).toEqual([]);
    expect(open.started).toHaveLength(1);
  });

  test('stays while it is asked for', async () => {
    const open = openPool();
    for (let round = 0; round < 20; round += 1) {
      await call(open, 'a');
      await vi.advanceTimersByTimeAsync(3000);
    }
    expect(open.alive().length).toBeGreaterThan(0);
    expect(await call(open, 'a')).not.toBeNull();
  });

  test('whose end fails is told of when the pool is closed', async () => {
    const open = openPool();
    await call(open, 'a');
    const [worker] = open.started;
    if (worker !== undefined) worker.end = () => Promise.reject(new Error('it stays'));
    await expect(open.pool.close()).rejects.toThrow('left something behind');
  });
});

describe('the number that lies ready', () => {
  test('is what was used at once lately', async () => {
    const { pool, enter } = openPool();
    const visits = ['a', 'a', 'a'].map(enter);
    for (const { leave } of visits) leave();
    await settle();
    expect(pool.readyCount).toBe(3);
  });

  test('shrinks when fewer are used', async () => {
    const open = openPool();
    for (const { leave } of ['a', 'a', 'a'].map(open.enter)) leave();
    await settle();
    for (let round = 0; round < 8; round += 1) {
      await call(open, 'a');
      await vi.advanceTimersByTimeAsync(2500);
    }
    expect(open.pool.readyCount).toBe(1);
  });

  test('is bounded', async () => {
    const { pool, enter, alive } = openPool({ workersMax: 2 });
    for (const { leave } of Array.from({ length: 9 }, () => enter('a'))) leave();
    await settle();
    expect(pool.readyCount).toBe(2);
    expect(alive()).toHaveLength(2);
  });

  test('is bounded by what they hold', async () => {
    const { pool, enter } = openPool({ memoryMbMax: 100 }, 40 * MB);
    for (const { leave } of Array.from({ length: 4 }, () => enter('a'))) leave();
    await settle();
    expect(pool.readyCount).toBe(2);
  });

  test('may be none, where the first would be too large', async () => {
    const { pool, enter, started } = openPool({ memoryMbMax: 16 });
    enter('a').leave();
    await settle();
    expect([pool.readyCount, started.length]).toEqual([0, 0]);
  });

  test('goes to the keys that were used last', async () => {
    const open = openPool({ workersMax: 2 });
    for (const key of ['a', 'b', 'c']) {
      await call(open, key);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(open.alive().map(({ key }) => key)).toEqual(['b', 'c']);
  });

  test('is started one after another, whatever is wanted', async () => {
    const pool = new WorkerPool<FakeWorker>(BOUNDS);
    let starting = 0;
    let most = 0;
    const prepare = async () => {
      starting += 1;
      most = Math.max(most, starting);
      await new Promise((resolve) => setTimeout(resolve, 10));
      starting -= 1;
      return new FakeWorker('a');
    };
    const visits = Array.from({ length: 4 }, () => pool.enter('a', prepare));
    for (const { leave } of visits) leave();
    await vi.advanceTimersByTimeAsync(200);
    expect([pool.readyCount, most]).toEqual([4, 1]);
  });

  test('knows no more than 256 keys', async () => {
    const open = openPool({ workersMax: 256, memoryMbMax: 2 ** 20 });
    for (let key = 0; key < 300; key += 1) open.enter(`${key}`).leave();
    await vi.advanceTimersByTimeAsync(5000);
    expect(open.pool.readyCount).toBeLessThanOrEqual(256);
  });
});

describe('what cannot be prepared', () => {
  test.each([
    ['gives nothing', async () => null],
    ['fails', () => Promise.reject(new Error('no descriptor'))],
  ])('and %s is tried a few times and does not harm calls', async (_how, fails) => {
    const pool = new WorkerPool<FakeWorker>(BOUNDS);
    const prepare = vi.fn(fails);
    for (let round = 0; round < 10; round += 1) {
      const visit = pool.enter('a', prepare);
      expect(visit.worker).toBeNull();
      visit.leave();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(prepare.mock.calls.length).toBe(3);
  });

  test('is not tried again once that is known', async () => {
    const { pool, enter, started } = openPool();
    const visit = enter('a');
    visit.forbid();
    visit.leave(new FakeWorker('a'));
    await settle();
    expect([pool.readyCount, started.length]).toEqual([0, 0]);
  });
});

describe('clear and close', () => {
  test('end what lies ready, and a cleared pool goes on', async () => {
    const open = openPool();
    await call(open, 'a');
    await open.pool.clear();
    expect(open.alive()).toEqual([]);
    expect(await call(open, 'a')).toBeNull();
    expect(open.pool.readyCount).toBe(1);
  });

  test('end what is being started once it is there', async () => {
    const pool = new WorkerPool<FakeWorker>(BOUNDS);
    const worker = new FakeWorker('a');
    const prepare = () =>
      new Promise<FakeWorker>((resolve) => setTimeout(() => resolve(worker), 50));
    pool.enter('a', prepare).leave();
    await vi.advanceTimersByTimeAsync(10);
    const closed = pool.close();
    await vi.advanceTimersByTimeAsync(100);
    await closed;
    expect([pool.readyCount, worker.isEnded]).toEqual([0, true]);
  });

  test('end what a call gives back afterwards', async () => {
    const { pool, enter } = openPool();
    const visit = enter('a');
    const worker = new FakeWorker('a');
    await pool.clear();
    visit.leave(worker);
    expect(worker.isEnded).toBe(true);
  });

  test('a closed pool starts nothing and gives nothing', async () => {
    const open = openPool();
    await call(open, 'a');
    await open.pool.close();
    expect(await call(open, 'a')).toBeNull();
    expect(open.started).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('waits for work it was given, and tells that it failed', async () => {
    const { pool } = openPool();
    pool.adopt(Promise.reject(new Error('a group stays')));
    await expect(pool.close()).rejects.toThrow(AggregateError);
  });
});

test('keeps nothing of a key that it does not know', async () => {
  const { pool, enter } = openPool({ workersMax: 1000 });
  const visits = Array.from({ length: 256 }, (_, n) => enter(`key ${n}`));
  const { leave } = enter('one too many');
  const back = new FakeWorker('one too many');
  leave(back);
  await settle();
  expect(back.isEnded).toBe(true);
  for (const visit of visits) visit.leave();
  await pool.close();
});
