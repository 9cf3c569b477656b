import { expect, test } from 'vitest';
import { codeFrame } from '../../src/cli/code-frame.ts';

const plain = { columns: Infinity, paint: (_: unknown, text: string) => text };

test.each<[string, readonly string[], number, number, readonly string[]]>([
  ['the first line', ['abc: 1'], 1, 1, ['  1 | abc: 1', '    | ^~~']],
  [
    'a later one with the line before',
    ['a: 1', 'b: 2'],
    2,
    4,
    ['  1 | a: 1', '  2 | b: 2', '    |    ^'],
  ],
  ['a quoted key whole', ['{"a b": 1}'], 1, 2, ['  1 | {"a b": 1}', '    |  ^~~~~']],
  ['a place behind the end', ['ab'], 1, 9, ['  1 | ab', '    |         ^']],
  ['tabs as one column', ['\ta: 1'], 1, 2, ['  1 |  a: 1', '    |  ^']],
  ['a line that is not there as nothing', ['a'], 2, 1, []],
  ['no place as nothing', ['a'], 0, 0, []],
  ['line numbers of one width', Array(10).fill('x'), 10, 1, ['   9 | x', '  10 | x', '     | ^']],
])('shows %s', (_kind, lines, line, column, frame) => {
  expect(codeFrame(lines, { line, column }, plain)).toEqual(frame);
});

test('cuts long lines around the place, with the caret under it', () => {
  const line = `${'x'.repeat(5000)}KEY${'y'.repeat(5000)}`;
  const rows = codeFrame([line], { line: 1, column: 5001 }, { ...plain, columns: 60 });
  expect(Math.max(...rows.map(({ length }) => length))).toBeLessThanOrEqual(60);
  const at = rows[1]?.indexOf('^') ?? -1;
  expect(rows[0]?.slice(at, at + 3)).toBe('KEY');
});

test('replaces what a terminal would obey, one for one', () => {
  const [row, marks] = codeFrame(['\u001b[31m\u202eK: 1'], { line: 1, column: 7 }, plain);
  expect(row).toBe('  1 | \ufffd[31m\ufffdK: 1');
  expect(marks?.indexOf('^')).toBe(row?.indexOf('K'));
});
