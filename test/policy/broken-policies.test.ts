import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PolicyError } from '../../src/errors.ts';
import { loadPolicy, type Problem } from '../../src/policy/index.ts';
import broken from '../vectors/policy-broken.json' with { type: 'json' };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'broken-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function problemsOf(yaml: string): Promise<readonly Problem[]> {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, yaml);
  const error: unknown = await loadPolicy(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof PolicyError)) throw new Error('the policy loaded');
  const { problems } = error.details;
  return problems as Problem[];
}

test('there are at least 100 of them, each different', () => {
  expect(new Set(broken.map(({ yaml }) => yaml)).size).toBeGreaterThanOrEqual(100);
});

test.each(broken)('$id', async ({ yaml, count, id: _, ...expected }) => {
  const problems = await problemsOf(yaml);
  expect(problems).toContainEqual(expect.objectContaining(expected));
  expect(problems).toHaveLength(count);
  for (const { message } of problems) {
    expect(message).toMatch(/^[^A-Z\n]/);
    expect(message).not.toMatch(/\.$/);
  }
});
