import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EnforceError, ERROR_CODES, isEnforceError } from '../src/errors.ts';

const CODES = Object.keys(ERROR_CODES);

/** Named by tests of parts that are still being written: rules for targets, arguments and sequences. */
const NOT_TESTED: readonly string[] = [
  'ENF_DENIED_TARGET',
  'ENF_DENIED_INPUT',
  'ENF_DENIED_CONDITION',
  'ENF_DENIED_SEQUENCE',
];

/** All text of the TypeScript files of some folders. */
function textOf(folders: readonly string[], leftOut: readonly string[] = []): string {
  return folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
    )
    .filter((name) => /\.(ts|mjs|json)$/.test(name) && !leftOut.includes(name))
    .map((name) => readFileSync(name, 'utf8'))
    .join('\n');
}

/** A table in the form in which the formatter leaves it. */
function renderTable(rows: readonly (readonly [string, string])[]): string {
  const widths = [0, 1].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |`;
  const [head = ['', ''], ...body] = rows;
  return [line(head), line(['', ''], '-'), ...body.map((row) => line(row))].join('\n');
}

/** The page of the documentation that lists every code. */
function renderPage(): string {
  const codes = Object.entries(ERROR_CODES);
  const areas = [...new Set(CODES.map((code) => code.split('_')[1] ?? ''))];
  const sections = areas.map((area) => {
    const own = codes.filter(([code]) => code.split('_')[1] === area);
    const rows = own.map(([code, meaning]) => [`\`${code}\``, meaning] as const);
    return `## ENF_${area}\n\n${renderTable([['code', 'meaning'], ...rows])}\n`;
  });
  return `# Error codes

Every error of this package has a \`code\` from this table. Codes are permanent: branch on them, not on
messages. The table is made from \`src/errors.ts\`; after a change there,
\`npx vitest run test/errors.test.ts --update\` writes this page anew.

${sections.join('\n')}`;
}

test('the page of error codes is the table, in both directions', async () => {
  await expect(renderPage()).toMatchFileSnapshot('../docs/error-codes.md');
});

/** Codes that a text names, in quotes or not. */
const codesIn = (text: string) => new Set(text.match(/\bENF_[A-Z]+(?:_[A-Z]+)*\b/g) ?? []);

describe('every code', () => {
  const raised = codesIn(textOf(['src', 'worker'], ['src/errors.ts']));
  const tested = codesIn(textOf(['test'], ['test/errors.test.ts']));

  test.each(CODES)('%s is raised somewhere', (code) => {
    expect(raised.has(code)).toBe(true);
  });

  test.each(CODES.filter((code) => !NOT_TESTED.includes(code)))(
    '%s is tested somewhere',
    (code) => {
      expect(tested.has(code)).toBe(true);
    },
  );

  test.each(CODES)('%s has a name and a meaning in the form of the others', (code) => {
    expect(code).toMatch(/^ENF_[A-Z]+(_[A-Z]+)+$|^ENF_INTERNAL$/);
    const meaning = ERROR_CODES[code as keyof typeof ERROR_CODES];
    expect(meaning).toMatch(/^[a-z].*[^.\s]$/);
    expect(meaning).not.toContain('|');
  });
});

test('no code is used that is not in the table', () => {
  const used = textOf(['src', 'worker']).match(/'ENF_[A-Z]+(?:_[A-Z]+)*'/g) ?? [];
  expect([...new Set(used)].filter((code) => !CODES.includes(code.slice(1, -1)))).toEqual([]);
});

describe('isEnforceError', () => {
  test('knows the errors of another copy of this package', () => {
    const foreign = Object.create({ [Symbol.for('enforcecore.error')]: true });
    expect(isEnforceError(foreign)).toBe(true);
    expect(isEnforceError(new EnforceError('ENF_INTERNAL', 'm'))).toBe(true);
  });

  test.each([[null], [undefined], ['ENF_INTERNAL'], [{ code: 'ENF_INTERNAL' }], [new Error('x')]])(
    'does not take %o for one',
    (value) => expect(isEnforceError(value)).toBe(false),
  );
});
