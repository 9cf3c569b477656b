import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EnforceError, ERROR_CODES, isEnforceError } from '../src/errors.ts';

const CODES = Object.keys(ERROR_CODES);

/** Tests of these belong to parts that are still being written. */
const NOT_TESTED: readonly string[] = ['ENF_DENIED_BUDGET', 'ENF_AUDIT_ENTRY', 'ENF_AUDIT_READ'];

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

/** The page of the documentation that lists every code. */
function renderPage(): string {
  const areas = new Map<string, string[]>();
  for (const [code, meaning] of Object.entries(ERROR_CODES)) {
    const area = code.split('_')[1] ?? '';
    areas.set(area, [...(areas.get(area) ?? []), `| \`${code}\` | ${meaning} |`]);
  }
  const sections = [...areas].map(
    ([area, rows]) => `## ENF_${area}\n\n| code | meaning |\n|---|---|\n${rows.join('\n')}\n`,
  );
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
