import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { describeHost, loadPolicy, loadSettings } from '../../src/index.ts';
import { requireLayer } from '../fixtures/require-layer.ts';
import { type Block, blocksOf } from './markdown.ts';
import { COMPILER, fitsShown, makeProject, type Project } from './project.ts';

/** The kinds of blocks that are checked. What another one holds is said to be untested, with a reason. */
export const CHECKED_LANGUAGES: readonly string[] = [
  'sh',
  'text',
  'yaml',
  'json',
  'ts',
  'js',
  'py',
  'mermaid',
  'ini',
];

const works = new Set(
  (await describeHost()).filter((layer) => layer.works).map(({ layer }) => layer),
);

/**
 * Tests that check every block of a page in a project of its own, as a reader who begins at the top:
 * shell blocks are run, and what the page shows as their output is what they print; policies are
 * loaded; TypeScript that is said to run is run.
 *
 * @param page - path in the repository; the files beside an example's page are in the project
 */
export function describePage(page: string): void {
  const blocks = blocksOf(page).map((block, at) => ({ ...block, at }));
  if (blocks.length === 0) return;
  describe(`${page}, read from the top`, () => {
    let project: Project;
    beforeAll(() => {
      project = makeProject();
      if (page.startsWith('examples/')) {
        cpSync(dirname(page), project.folder, { recursive: true });
      }
    });
    afterAll(() => project.remove());

    test.each(blocks)('line $line ($language)', async ({ at, ...block }) => {
      if (block.file !== null) project.write(block.file, block.text);
      if (block.untested !== null || lacks(block)) return;
      await check(block, blocks[at + 1], project);
    });
  });
}

function lacks({ needs }: Block): boolean {
  if (needs === null) return false;
  if (works.has(needs === 'hardened' ? 'confinement' : needs)) return false;
  requireLayer(needs);
  process.stderr.write(`SKIPPED: a block that needs \`${needs}\`, which does not work here\n`);
  return true;
}

async function check(block: Block, next: Block | undefined, project: Project): Promise<void> {
  switch (block.language) {
    case 'sh':
      return checkOutput(project.sh(block.text), next);
    case 'yaml':
      return checkYaml(block, project);
    case 'json':
      return expect(() => JSON.parse(block.text)).not.toThrow();
    case 'js':
      return checkSyntax(block, project);
    case 'ts':
      return block.isRun ? runTypeScript(block, next, project) : undefined;
    case 'ini':
      return checkUnit(block, project);
    default:
  }
}

/** A `text` block behind one that is run shows what it prints. */
function checkOutput(ran: ReturnType<Project['sh']>, next: Block | undefined): void {
  expect(ran).toMatchObject({ status: 0 });
  if (next?.language !== 'text' || next.untested !== null) return;
  if (!fitsShown(ran.output, next.text)) expect(ran.output).toBe(next.text);
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
  const policy = await loadPolicy(join(project.folder, file));
  expect(policy.name).toBe(parseDocument(text).get('name'));
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
  checkOutput(project.sh(`${tsc} ${COMPILER.join(' ')} ${name}.ts && node ${name}.js`), next);
}

/** The program of the unit is not installed here; everything else must be known to systemd. */
function checkUnit(block: Block, project: Project): void {
  const name = block.file ?? 'agents.service';
  project.write(name, block.text);
  const { output } = project.sh(
    `command -v systemd-analyze >/dev/null && systemd-analyze verify --man=no ./${name}`,
  );
  const complaints = output.split('\n').filter((line) => /Unknown|parse|ignoring/i.test(line));
  expect(complaints).toEqual([]);
}
