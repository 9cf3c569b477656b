import { describe, expect, test } from 'vitest';
import { identify, identityOf, type Request } from '../../src/enforce/identify.ts';
import { confinement, tool } from '../fixtures/job.ts';

const LIMITS = confinement({ inputBytes: 100, argumentDepthMax: 3 }).limits;

function identifyCall(request: Partial<Request>) {
  const base = {
    target: tool('add.mjs'),
    args: {},
    tool: 'add',
    context: {},
    depth: 0,
    budgets: [],
  };
  const places = { cwd: process.cwd(), searchPath: '/usr/bin:/bin', digests: new Map() };
  return identify({ ...base, ...request }, LIMITS, places);
}

test('freezes the arguments into text once', async () => {
  let reads = 0;
  const args = {
    get face() {
      reads += 1;
      return reads;
    },
  };
  const call = await identifyCall({ args });
  expect(call.argsJson).toBe('{"face":1}');
  expect(call.args).toEqual({ face: 1 });
  expect(reads).toBe(1);
});

test('gives every call an id of its own', async () => {
  const [one, two] = await Promise.all([identifyCall({}), identifyCall({})]);
  expect(one.callId).not.toBe(two.callId);
  expect(one.callId).toMatch(/^[0-9a-f-]{36}$/);
});

test('keeps null as null', async () => {
  expect((await identifyCall({ args: null })).argsJson).toBe('null');
});

describe('what speaks against a call', () => {
  const deep = { a: { b: { c: { d: 1 } } } };
  test.each<[string, Partial<Request>, readonly string[]]>([
    ['arguments that are no JSON', { args: { a: 1n } }, ['ENF_CALL_ARGS']],
    ['arguments that are too large', { args: { a: 'x'.repeat(200) } }, ['ENF_CALL_ARGS_SIZE']],
    ['arguments that are too deep', { args: deep }, ['ENF_CALL_ARGS_DEPTH']],
    ['a tool that is not there', { target: './missing.mjs' }, ['ENF_CALL_TARGET']],
    ['nesting beyond 16', { depth: 17 }, ['ENF_CALL_NESTED']],
    [
      'all of it at once',
      { args: deep, target: './missing.mjs', depth: 17 },
      ['ENF_CALL_NESTED', 'ENF_CALL_ARGS_DEPTH', 'ENF_CALL_TARGET'],
    ],
  ])('is %s', async (_kind, request, codes) => {
    const call = await identifyCall(request);
    expect(call.refusals.map(({ code }) => code)).toEqual(codes);
    if (request.args !== undefined) expect(call).toMatchObject({ argsJson: null, args: null });
    if (request.target !== undefined) expect(identityOf(call)).toBeNull();
  });

  test('is not nesting up to 16', async () => {
    expect((await identifyCall({ depth: 16 })).refusals).toEqual([]);
  });

  test('never quotes arguments', async () => {
    const call = await identifyCall({ args: { secret: 'hunter2', list: [1n] } });
    expect(JSON.stringify(call.refusals)).not.toContain('hunter2');
  });
});

test('a malformed target is misuse, not a denial', async () => {
  await expect(identifyCall({ target: {} as never })).rejects.toMatchObject({
    code: 'ENF_CALL_ARGUMENT',
  });
});
