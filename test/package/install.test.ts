// The package as a user gets it: packed, installed into an empty project, and put to work.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const INSTALL_MS_MAX = 300_000;

describe.skipIf(process.env['ENFORCECORE_TEST_SLOW'] !== '1')('the installed package', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'enforcecore-install-'));
    chmodSync(root, 0o755);
    npm('pack', '--ignore-scripts', '--pack-destination', root);
    const [file = ''] = readdirSync(root);
    write('package.json', '{ "name": "project", "type": "module", "private": true }');
    npmIn(
      'install',
      '--prefer-offline',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `./${file}`,
    );
  }, INSTALL_MS_MAX);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const npm = (...words: string[]) => execFileSync('npm', words, { stdio: 'pipe' });
  const npmIn = (...words: string[]) => execFileSync('npm', words, { cwd: root, stdio: 'pipe' });
  const write = (name: string, text: string) => writeFileSync(join(root, name), text);
  const start = (program: string, ...words: string[]) => {
    const env = { PATH: process.env['PATH'], HOME: root };
    const { status, stdout, stderr } = spawnSync(program, words, {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const run = (tool: string, ...words: string[]) =>
    start('node_modules/.bin/enforcecore', 'run', tool, '--policy', 'policy.yaml', ...words);

  test('runs a first policy: an allowed, a redacted, a blocked and a killed call', () => {
    const policy = 'name: first\nallowed_tools: [sum, mail, spin]\n';
    write('policy.yaml', `${policy}resource_limits: { max_call_duration_seconds: 2 }\n`);
    write('sum.mjs', 'export default ({ a, b }) => a + b;\n');
    write('mail.mjs', "export default () => 'write to ann@example.com';\n");
    write('spin.mjs', 'export default () => { for (;;); };\n');
    write('other.mjs', "export default () => 'must not run';\n");
    expect(run('sum.mjs', '--args', '{"a":1,"b":2}')).toMatchObject({ status: 0, stdout: '3\n' });
    expect(run('mail.mjs')).toMatchObject({ status: 0, stdout: 'write to <EMAIL>\n' });
    expect(run('other.mjs')).toMatchObject({ status: 3, stdout: '' });
    expect(run('spin.mjs')).toMatchObject({ status: 4, stdout: '' });
    const trail = join(root, '.local/state/enforcecore/audit');
    expect(start('node_modules/.bin/enforcecore', 'verify', trail)).toMatchObject({ status: 0 });
  });

  test('is imported by a program, and its types fit', () => {
    const program = `import { redact, type RedactionResult } from 'enforcecore';
const { value }: RedactionResult<string> = await redact('ann@example.com', { pii_redaction: {} });
console.log(value);\n`;
    write('main.ts', program);
    const tsc = join(process.cwd(), 'node_modules/.bin/tsc');
    const words = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
    const roots = ['--typeRoots', join(process.cwd(), 'node_modules/@types')];
    expect(start(tsc, ...words, ...roots, '--ignoreConfig', 'main.ts')).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(start(process.execPath, 'main.js')).toMatchObject({ status: 0, stdout: '<EMAIL>\n' });
  });

  test('gives no way in but its exports', () => {
    write('deep.mjs', "await import('enforcecore/dist/src/isolation/index.js');\n");
    expect(start(process.execPath, 'deep.mjs').stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
