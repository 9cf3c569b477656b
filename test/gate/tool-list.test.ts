import { expect, test } from 'vitest';
import { compileToolList } from '../../src/gate/tool-list.ts';

test('case does not matter', () => {
  expect(compileToolList(['Execute_Shell']).match('eXECUTE_sHELL')).toBe('Execute_Shell');
});

test('an exact name is reported before a glob', () => {
  expect(compileToolList(['exec*', 'execute']).match('execute')).toBe('execute');
});

test.each(['constructor', '__proto__', 'tostring', 'hasOwnProperty'])(
  '%s is in no list by birth',
  (name) => {
    expect(compileToolList(['a']).match(name)).toBeNull();
  },
);
