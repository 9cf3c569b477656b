import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lintPolicy } from '../../src/policy/index.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';

/** Writes files into one folder and looks at the last. */
async function linted(files: Readonly<Record<string, string>>) {
  const folder = testFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const warnings = await lintPolicy(join(folder, Object.keys(files).at(-1) ?? ''));
  return warnings.map(({ file, line, column, code, path, message }) => ({
    place: `${file.slice(folder.length + 1)}:${line}:${column}`,
    code,
    path,
    message,
  }));
}

test('points at the line of the rule', async () => {
  expect(
    await linted({ 'p.yaml': 'name: x\nallowed_tools:\n  - a\n  - b\ndenied_tools: [b]\n' }),
  ).toEqual([
    {
      place: 'p.yaml:4:5',
      code: 'idle-rule',
      path: 'allowed_tools[1]',
      message: '`b` allows nothing: `b` is denied',
    },
  ]);
});

test('points into the file of the chain that wrote the rule, wherever merging put it', async () => {
  const base = 'name: base\nallowed_tools: [a]\n';
  const child = 'name: child\nextends: base.yaml\nallowed_tools:\n  - b\ndenied_tools: [A, b]\n';
  const warnings = await linted({ 'base.yaml': base, 'child.yaml': child });
  const idle = warnings.filter(({ code }) => code === 'idle-rule');
  expect(idle.map(({ place }) => place)).toEqual(['base.yaml:2:17', 'child.yaml:4:5']);
});

test('names what a child loosens in its base, and no limit that it only tries to', async () => {
  const base = 'name: base\nallowed_tools: [a]\nresource_limits: { max_memory_mb: 10 }\n';
  const child = [
    'name: child',
    'extends: base.yaml',
    'allowed_tools: [z]',
    'resource_limits: { max_memory_mb: 20 }',
    '',
  ].join('\n');
  expect(await linted({ 'base.yaml': base, 'child.yaml': child })).toEqual([
    {
      place: 'child.yaml:3:1',
      code: 'loosens',
      path: 'allowed_tools',
      message: 'loosens `base`: `z` is not granted there',
    },
  ]);
});

test('throws what loading throws', async () => {
  await expect(lintPolicy('/nowhere.yaml')).rejects.toMatchObject({ code: 'ENF_POLICY_READ' });
  await expect(lintPolicy({ nmae: 'x' })).rejects.toMatchObject({ code: 'ENF_POLICY_INVALID' });
});

test.each(readdirSync('policies').filter((name) => name.endsWith('.yaml')))(
  'the shipped %s says nothing to no effect',
  async (name) => expect(await lintPolicy(join('policies', name))).toEqual([]),
);
