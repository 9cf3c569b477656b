import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECKED_LANGUAGES, describePage } from './check-page.ts';
import { blocksOf, pageNames } from './markdown.ts';
import { COMPILER, makeProject, type Project } from './project.ts';

/** Made from the code, and held to it by tests of their own. */
const MADE = ['docs/api-reference.md', 'docs/cli.md'];
const pages = pageNames().filter((page) => !MADE.includes(page));
const blocks = pages.flatMap(blocksOf);

test('the scan sees the pages', () => {
  expect(blocks.length).toBeGreaterThan(100);
});

test.each(blocks)('$page:$line is of a kind that is checked, or says why not', (block) => {
  if (block.untested === null) expect(CHECKED_LANGUAGES).toContain(block.language);
  else expect(block.untested.length).toBeGreaterThan(10);
});

// Those of the examples are in `test/examples`.
for (const page of pages.filter((name) => !name.startsWith('examples/'))) describePage(page);

describe('TypeScript', () => {
  const checked = blocks.filter(({ language, untested }) => language === 'ts' && untested === null);
  let project: Project;
  beforeAll(() => {
    project = makeProject();
  });
  afterAll(() => project.remove());

  test('every block fits the types of the package', () => {
    const files = checked.map((block) => {
      const file = `${block.page.replace(/\W/g, '-')}-${block.line}.ts`;
      const text = `${block.given}\n${block.text}\nexport {};\n`;
      writeFileSync(join(project.folder, file), text);
      return file;
    });
    expect(files.length).toBeGreaterThan(3);
    const tsc = join(process.cwd(), 'node_modules/.bin/tsc');
    const words = [...COMPILER, '--noEmit', ...files];
    const { stdout, status } = spawnSync(tsc, words, { cwd: project.folder, encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});
