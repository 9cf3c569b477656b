import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isReadableByOthers, openedForOthers } from '../../src/isolation/access-by-others.ts';

const closed = realpathSync(mkdtempSync(join(tmpdir(), 'others-')));
const tool = join(closed, 'tool.mjs');
const inner = join(closed, 'inner');
writeFileSync(tool, '');
mkdirSync(inner);
chmodSync(tool, 0o644);
chmodSync(inner, 0o755);
writeFileSync(join(inner, 'secret'), '');
chmodSync(join(inner, 'secret'), 0o600);
afterAll(() => rmSync(closed, { recursive: true }));

describe('a file is readable by others', () => {
  test.each([
    ['below an open folder', process.execPath, true],
    ['not below a folder that is closed', tool, false],
    ['not when its own mode says no', join(inner, 'secret'), false],
    ['not when it does not exist', '/no/such/file', false],
  ])('%s', (_case, path, expected) => {
    expect(isReadableByOthers(path)).toBe(expected);
  });
});

test('a closed folder is replaced by what is in it, an open one stays whole', () => {
  expect(openedForOthers(['/usr', closed]).toSorted()).toEqual(['/usr', inner, tool].toSorted());
});
