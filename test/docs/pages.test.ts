// Every block of every page is checked: shell blocks are run as a reader would, from top to bottom, in
// a project that has the package; what a page shows as their output is what they print; TypeScript is
// type-checked; policies are loaded. A block that nothing checks says why, in a comment before it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { describeHost, loadPolicy, loadSettings } from '../../src/index.ts';
import { requireLayer } from '../fixtures/require-layer.ts';
import { type Block, blocksOf, pageNames } from './markdown.ts';
import { fitsShown, makeProject, type Project } from './project.ts';

const CHECKED = ['sh', 'text', 'yaml', 'json', 'jsonl', 'ts', 'js', 'py', 'mermaid', 'ini'];
/** Made from the code, and held to it by `references.test.ts`. */
const MADE = ['docs/api-reference.md', 'docs/cli-reference.md'];
const pages = pageNames()
  .filter((page) => !MADE.includes(page))
  .map((page) => ({ page, blocks: blocksOf(page) }));
const blocks = pages.flatMap((page) => page.blocks);
const works = new Set(
  (await describeHost()).filter((layer) => layer.works).map(({ layer }) => layer),
);

function lacks({ needs }: Block): boolean {
  if (needs === null) return false;
  const isThere = needs === 'hardened' ? works.has('confinement') : works.has(needs);
  if (isThere) return false;
  requireLayer(needs);
  process.stderr.write(
    `SKIPPED: blocks that need \`${needs}\`, which does not work on this host\n`,
  );
  return true;
}

test('the scan sees the pages', () => {
  expect(blocks.length).toBeGreaterThan(60);
});

test.each(blocks)('$page:$line is of a kind that is checked, or says why not', (block) => {
  if (block.untested === null) expect(CHECKED).toContain(block.language);
  else expect(block.untested.length).toBeGreaterThan(10);
});

describe.each(pages.filter((page) => page.blocks.length > 0))(
  '$page, read from the top',
  (page) => {
    let project: Project;
    beforeAll(() => {
      project = makeProject();
    });
    afterAll(() => project.remove());

    test.each(page.blocks.map((block, at) => ({ ...block, at })))(
      'line $line ($language)',
      async ({ at, ...block }) => {
        if (block.file !== null) project.write(block.file, block.text);
        if (block.untested !== null || lacks(block)) return;
        if (block.language === 'sh') runShell(block, page.blocks[at + 1], project);
        if (block.language === 'yaml') await checkYaml(block, project);
        if (block.language === 'json') expect(() => JSON.parse(block.text)).not.toThrow();
        if (block.language === 'jsonl') {
          for (const line of block.text.split('\n')) expect(() => JSON.parse(line)).not.toThrow();
        }
        if (block.language === 'js') checkSyntax(block, project);
        if (block.language === 'ts' && block.isRun)
          runTypeScript(block, page.blocks[at + 1], project);
        if (block.language === 'ini') checkUnit(block, project);
      },
    );
  },
);

function runShell(block: Block, next: Block | undefined, project: Project): void {
  const { output, status } = project.sh(block.text);
  expect({ status, output }).toMatchObject({ status: 0 });
  compare(output, next);
}

/** A `text` block behind one that is run shows what it prints. */
function compare(output: string, next: Block | undefined): void {
  if (next?.language !== 'text' || next.untested !== null) return;
  if (!fitsShown(output, next.text)) expect(output).toBe(next.text);
}

/** A policy, unless it is named as the settings; a piece of one is completed. */
async function checkYaml(block: Block, project: Project): Promise<void> {
  if (block.file?.endsWith('enforcecore.config.yaml') === true) {
    const configFile = join(project.folder, block.file);
    await loadSettings({ env: {}, cwd: project.folder, configFile });
    return;
  }
  const hasName = /^name:/m.test(block.text);
  const text = hasName ? block.text : `name: example\n${block.text}`;
  const file = block.file ?? `block-${block.line}.yaml`;
  project.write(file, text);
  const document = parseDocument(text);
  expect(document.errors).toEqual([]);
  const policy = await loadPolicy(join(project.folder, file));
  expect(policy.name).toBe(document.get('name'));
}

function checkSyntax(block: Block, project: Project): void {
  const file = block.file ?? `block-${block.line}.mjs`;
  project.write(file, block.text);
  const { status, stderr } = spawnSync(process.execPath, ['--check', join(project.folder, file)], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toMatchObject({ status: 0 });
}

function runTypeScript(block: Block, next: Block | undefined, project: Project): void {
  const name = `block-${block.line}`;
  project.write(`${name}.ts`, block.text);
  const tsc = join(process.cwd(), 'node_modules/.bin/tsc');
  const { output, status } = project.sh(`${tsc} ${COMPILER} ${name}.ts && node ${name}.js`);
  expect({ status, output }).toMatchObject({ status: 0 });
  compare(output, next);
}

function checkUnit(block: Block, project: Project): void {
  const name = block.file ?? 'agents.service';
  project.write(name, block.text);
  const { status, output } = project.sh(`command -v systemd-analyze >/dev/null || exit 77
    systemd-analyze verify --man=no --recursive-errors=no ./${name}`);
  if (status === 77) return;
  // The program of the unit is not installed here; everything else must be known to systemd.
  const complaints = output
    .split('\n')
    .filter((line) => /Unknown|Failed to parse|ignoring/i.test(line));
  expect(complaints).toEqual([]);
}

const COMPILER =
  '--strict --module nodenext --target es2022 --lib es2023,esnext.disposable --types node --skipLibCheck --exactOptionalPropertyTypes --experimentalDecorators false --ignoreConfig';

describe('TypeScript', () => {
  const checked = blocks.filter(({ language, untested }) => language === 'ts' && untested === null);
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'enforcecore-types-'));
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
    symlinkSync(process.cwd(), join(folder, 'node_modules/enforcecore'));
    for (const types of ['@types/node', 'undici-types', 'pino']) {
      const link = join(folder, 'node_modules', types);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(process.cwd(), 'node_modules', types), link);
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('every block fits the types of the package', () => {
    const files = checked.map((block) => {
      const file = `${block.page.replace(/\W/g, '-')}-${block.line}.ts`;
      writeFileSync(join(folder, file), `${block.given}\n${block.text}\nexport {};\n`);
      return file;
    });
    expect(files.length).toBeGreaterThan(3);
    const tsc = join(process.cwd(), 'node_modules/.bin/tsc');
    const { stdout, status } = spawnSync(tsc, [...COMPILER.split(' '), '--noEmit', ...files], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});
