import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { EntryIds } from '../../src/audit/entry-ids.ts';

const bytesOf = (id: string) => Buffer.from(`"${id}"`);

test('finds an id that was there before, among many', () => {
  const ids = new EntryIds();
  const all = Array.from({ length: 20_000 }, () => bytesOf(randomUUID()));
  expect(all.every((id) => ids.add(id, 1))).toBe(true);
  expect(all.some((id) => ids.add(id, 1))).toBe(false);
});

test('finds it after a table was full and another one was begun', () => {
  const ids = new EntryIds();
  const first = bytesOf('00000000-0000-4000-8000-000000000000');
  expect(ids.add(first, 1)).toBe(true);
  const id = bytesOf('ffffffff-ffff-4fff-8fff-ffffffffffff');
  for (let count = 0; count < 420_000; count += 1) {
    id.write(count.toString(16).padStart(8, '0'), 25);
    if (!ids.add(id, 1)) throw new Error(`${count} was there before`);
  }
  expect(ids.add(first, 1)).toBe(false);
  expect(ids.add(id, 1)).toBe(false);
});
