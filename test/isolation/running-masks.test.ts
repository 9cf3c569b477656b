import { expect, test } from 'vitest';
import type { Mask } from '../../src/isolation/filesystem-view-masks.ts';
import { RunningMasks } from '../../src/isolation/running-masks.ts';

const mask = (path: string, effect: Mask['effect'] = 'read-only', exists = true): Mask => ({
  ...{ path, effect, exists },
  kind: 'file',
});

test('a name is mounted over while no other call could swap it', () => {
  const running = new RunningMasks();
  const masks = [mask('/w/.git', 'pin'), mask('/w/.git/config')];
  expect(running.settled(masks)).toEqual(masks);
  running.hold({ write: ['/w'], masks });
  // What the other call has mounted over itself it cannot swap; elsewhere it cannot write.
  expect(running.settled(masks)).toEqual(masks);
  expect(running.settled([mask('/v/.npmrc')])).toHaveLength(1);
  expect(running.settled([mask('/w2/.npmrc')])).toHaveLength(1);
});

test('a name that came into being below a running call is left out until that call has ended', () => {
  const running = new RunningMasks();
  const release = running.hold({ write: ['/w'], masks: [mask('/w/.git', 'pin')] });
  const fresh = [mask('/w/d', 'pin'), mask('/w/d/.npmrc'), mask('/w/.git', 'pin')];
  expect(running.settled(fresh).map(({ path }) => path)).toEqual(['/w/.git']);
  // Also where the paths only overlap.
  const above = running.hold({ write: ['/'], masks: [] });
  expect(running.settled(fresh)).toEqual([]);
  above();
  release();
  expect(running.settled(fresh)).toEqual(fresh);
});

test('what is mounted from elsewhere is always mounted', () => {
  const running = new RunningMasks();
  running.hold({ write: ['/w'], masks: [] });
  const masks = [mask('/w/token', 'hide'), mask('/w/.npmrc', 'read-only', false)];
  expect(running.settled(masks)).toEqual(masks);
});
