import { describe, expect, test } from 'vitest';
import { commandPlace, jsonLines } from '../fixtures/command-line.ts';
import { tool } from '../fixtures/job.ts';
import {
  doctorJson,
  explainJson,
  infoJson,
  initJson,
  keygenJson,
  killJson,
  recoverJson,
  runJson,
  validateJson,
  verifyJson,
} from './json-schemas.ts';

const POLICY = { 'policy.yaml': 'name: test\nisolation: { level: process }\n' };
const add = tool('add.mjs');

describe('--json prints what is documented, and nothing else on stdout', () => {
  test.each<[string, readonly string[], number, { parse: (value: unknown) => unknown }]>([
    ['run', ['run', '--policy', 'policy.yaml', add, '--set', 'a=1', '--set', 'b=2'], 0, runJson],
    ['a run that fails', ['run', '--policy', 'policy.yaml', tool('throws.mjs')], 1, runJson],
    ['a run that is denied', ['run', '--policy', 'policy.yaml', add, '--name', 'rm'], 3, runJson],
    [
      'a limit',
      ['run', '--policy', 'policy.yaml', tool('spin.mjs'), '--timeout', '300ms'],
      4,
      runJson,
    ],
    ['explain', ['explain', add, '--policy', 'policy.yaml'], 0, explainJson],
    ['explain of what cannot run', ['explain', add, '--policy', 'unmet.yaml'], 5, explainJson],
    ['validate', ['validate', 'policy.yaml'], 0, validateJson],
    ['validate of what is none', ['validate', 'bad.yaml'], 1, validateJson],
    ['validate of what is not there', ['validate', 'none.yaml'], 2, validateJson],
    ['strict warnings', ['validate', '--strict', 'idle.yaml'], 1, validateJson],
    ['init', ['init', 'new', '--yes'], 0, initJson],
    ['kill', ['kill', '--reason', 'test'], 0, killJson],
    ['the reset of kill', ['kill', '--reset'], 0, killJson],
    ['info', ['info'], 0, infoJson],
    ['info of a bad policy', ['info', '--policy', 'bad.yaml'], 0, infoJson],
    ['doctor', ['doctor'], 0, doctorJson],
    ['verify of what is not there', ['verify', 'nowhere'], 2, verifyJson],
    ['audit keygen', ['audit', 'keygen', '--out', 'audit.key'], 0, keygenJson],
  ])('%s', async (_name, words, code, schema) => {
    const { run } = commandPlace({
      'policy.yaml': `${POLICY['policy.yaml']}denied_tools: [rm]\n`,
      'bad.yaml': 'nmae: x\n',
      'idle.yaml': 'name: x\nallowed_tools: [a]\ndenied_tools: [a]\n',
      'unmet.yaml': 'name: x\nisolation: { require: [no-such-layer] }\n',
    });
    const result = await run(...words, '--json');
    expect({ code: result.code, lines: result.out.split('\n').length }).toEqual({ code, lines: 2 });
    schema.parse(JSON.parse(result.out));
  });

  test('verify and recover', async () => {
    const { run } = commandPlace(POLICY);
    await run('run', '--policy', 'policy.yaml', add, '--set', 'a=1', '--set', 'b=2');
    const verified = await run('verify', 'trail', '--json');
    verifyJson.parse(JSON.parse(verified.out));
    const recovered = await run('audit', 'recover', 'trail', '--json');
    expect({ code: recovered.code, err: recovered.err }).toEqual({ code: 0, err: '' });
    recoverJson.parse(JSON.parse(recovered.out));
  });

  test('validate prints one line for each policy', async () => {
    const { run } = commandPlace({ 'a.yaml': 'name: a\n', 'b.yaml': 'nmae: b\n' });
    const { code, out } = await run('validate', 'a.yaml', 'b.yaml', 'c.yaml', '--json');
    const lines = jsonLines(out).map((line) => validateJson.parse(line));
    expect({ code, oks: lines.map(({ ok }) => ok) }).toEqual({
      code: 2,
      oks: [true, false, false],
    });
  });

  test('the schema is one JSON Schema', async () => {
    const { code, out } = await commandPlace().run('schema');
    expect({ code, schema: JSON.parse(out) }).toMatchObject({
      code: 0,
      schema: {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: expect.any(String),
      },
    });
  });
});
