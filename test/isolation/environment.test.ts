import { expect, test } from 'vitest';
import { buildEnvironment } from '../../src/isolation/environment.ts';

const HOST = { SECRET: 'x', LANG: 'C', PATH: '/host', HOME: '/root', NODE_OPTIONS: '--inspect' };

test('inherits nothing by itself', () => {
  expect(buildEnvironment({ pass: [], set: {} }, HOST, '/scratch')).toEqual({
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: '/scratch',
    TMPDIR: '/scratch',
  });
});

test('passes what the policy names, where it is there', () => {
  const environment = buildEnvironment({ pass: ['LANG', 'PATH', 'MISSING'], set: {} }, HOST, '/s');
  expect(environment).toEqual({ PATH: '/host', HOME: '/s', TMPDIR: '/s', LANG: 'C' });
});

test('lets what the policy sets win', () => {
  const rules = { pass: ['LANG'], set: { LANG: 'de', HOME: '/home' } };
  expect(buildEnvironment(rules, HOST, '/s')).toMatchObject({ LANG: 'de', HOME: '/home' });
});

test('does not take what every object has for a variable', () => {
  const pass = ['constructor', 'toString', '__proto__', 'hasOwnProperty'];
  const environment = buildEnvironment({ pass, set: {} }, HOST, '/s');
  expect(Object.keys(environment)).toEqual(['PATH', 'HOME', 'TMPDIR']);
  expect(Object.getPrototypeOf(environment)).toBe(Object.prototype);
});

test('does not take it from the real environment either', () => {
  const environment = buildEnvironment({ pass: ['constructor'], set: {} }, process.env, '/s');
  expect(Object.keys(environment)).not.toContain('constructor');
});

test('changes neither its rules nor the environment of this process', () => {
  const set = Object.freeze({ A: '1' });
  const before = { ...process.env };
  buildEnvironment({ pass: ['PATH'], set }, process.env, '/s')['A'] = '2';
  expect(set.A).toBe('1');
  expect({ ...process.env }).toEqual(before);
});
