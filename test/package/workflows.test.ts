import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
        readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
        readonly 'timeout-minutes': number;
      }
    >
  >;
}

const FOLDER = '.github/workflows';
const load = (name: string) => parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as Workflow;

describe.each(readdirSync(FOLDER))('%s', (name) => {
  const workflow = load(name);
  const jobs = Object.values(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps);

  test('uses actions by commit, which nobody can move', () => {
    const uses = steps.flatMap((step) => step.uses ?? []);
    expect(uses.length).toBeGreaterThan(0);
    for (const action of uses) expect(action).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/);
  });

  test('may only read unless a job says why not, and ends', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    for (const job of jobs) expect(job['timeout-minutes']).toBeLessThanOrEqual(60);
  });

  test('puts nothing that an outsider writes into a script', () => {
    for (const { run } of steps) expect(run ?? '').not.toMatch(/\$\{\{/);
  });
});

test('the tests run on Linux and macOS, on every supported Node', () => {
  const { matrix } = load('ci.yml').jobs['check']?.strategy ?? { matrix: {} };
  expect(matrix).toMatchObject({
    os: [expect.stringMatching(/^ubuntu/), expect.stringMatching(/^macos/)],
    node: [20, 22, 24],
  });
});

test('a release is built from the tag of its version, and signed', () => {
  const text = readFileSync(`${FOLDER}/release.yml`, 'utf8');
  expect(text).toContain('npm publish --provenance');
  expect(text).toContain('test "$GITHUB_REF_NAME" = "v$version"');
});
