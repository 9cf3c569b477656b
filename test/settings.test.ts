import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkSettings, loadSettings, SETTING_NAMES } from '../src/settings.ts';
import { testFolder } from './fixtures/open-enforcer.ts';

const load = (env: Record<string, string> = {}, cwd = testFolder(), configFile?: string) =>
  loadSettings({ env, cwd, configFile });

/** A folder with this config file. */
function configured(text: string): string {
  const folder = testFolder();
  writeFileSync(join(folder, 'enforcecore.config.yaml'), text);
  return folder;
}

const invalid = (message: string) => ({
  code: 'ENF_SETTINGS_INVALID',
  message: expect.stringContaining(message),
});

test('defaults: audit on, below the state folder of the user', async () => {
  expect(await load({ XDG_STATE_HOME: '/state' })).toMatchObject({
    auditPath: '/state/enforcecore/audit',
    auditEnabled: true,
    auditDurability: 'os',
    stateDir: null,
    logLevel: 'silent',
  });
  expect((await load({ XDG_STATE_HOME: 'relative' })).auditPath).toMatch(
    /^\/.*enforcecore\/audit$/,
  );
});

test('the environment goes before the file, the file before defaults', async () => {
  const folder = configured('audit_enabled: false\nlog_level: info\nstate_dir: run\n');
  expect(await load({ ENFORCECORE_LOG_LEVEL: 'debug' }, folder)).toMatchObject({
    auditEnabled: false,
    logLevel: 'debug',
    stateDir: join(folder, 'run'),
  });
});

test('paths are relative to where they are written', async () => {
  const folder = testFolder();
  mkdirSync(join(folder, 'etc'));
  writeFileSync(join(folder, 'etc/own.yaml'), 'audit_path: trail\n');
  const settings = await load({ ENFORCECORE_STATE_DIR: 'state' }, folder, 'etc/own.yaml');
  expect(settings).toMatchObject({
    auditPath: join(folder, 'etc/trail'),
    stateDir: join(folder, 'state'),
  });
});

test.each([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
])('a switch may be %s', async (value, expected) => {
  expect((await load({ ENFORCECORE_AUDIT_ENABLED: value })).auditEnabled).toBe(expected);
});

test('an empty file says nothing, and so does none', async () => {
  expect(await load({}, configured(''))).toEqual(await load({}, configured('# nothing\n')));
});

test('variables of others and of the tests are not ours', async () => {
  const env = { PATH: '/bin', ENFORCECOREX: '1', XENFORCECORE_A: '1', ENFORCECORE_TEST_SLOW: '1' };
  await expect(load(env)).resolves.toMatchObject({ auditEnabled: true });
});

describe('what is wrong in the environment is named', () => {
  test.each<[string, string, string]>([
    [
      'ENFORCECORE_AUDIT_PAHT',
      'x',
      '`ENFORCECORE_AUDIT_PAHT`: no such setting; known are audit_path',
    ],
    ['ENFORCECORE_FAIL_OPEN', '1', '`ENFORCECORE_FAIL_OPEN`: no such setting'],
    ['ENFORCECORE_AUDIT_ENABLED', 'no', '`ENFORCECORE_AUDIT_ENABLED`'],
    ['ENFORCECORE_AUDIT_ENABLED', '', '`ENFORCECORE_AUDIT_ENABLED`'],
    ['ENFORCECORE_AUDIT_PATH', '', '`ENFORCECORE_AUDIT_PATH`'],
    ['ENFORCECORE_LOG_LEVEL', 'loud', '`ENFORCECORE_LOG_LEVEL`'],
    ['ENFORCECORE_AUDIT_DURABILITY', 'none', '`ENFORCECORE_AUDIT_DURABILITY`'],
    ['ENFORCECORE___PROTO__', 'x', 'no such setting'],
  ])('%s=%j', async (name, value, message) => {
    await expect(load({ [name]: value })).rejects.toMatchObject(invalid(message));
  });
});

describe('what is wrong in the file is named', () => {
  test.each<[string, string, string]>([
    ['an unknown key', 'audit_paht: x\n', '`audit_paht`: no such setting'],
    ['a wrong value', 'audit_enabled: maybe\n', '`audit_enabled`'],
    ['a list', '- audit_path\n', 'enforcecore.config.yaml`: Invalid input'],
    ['a text', 'just text\n', 'Invalid input'],
    ['broken YAML', 'a: [\n', 'enforcecore.config.yaml`: '],
    ['a key twice', 'log_level: info\nlog_level: warn\n', 'unique'],
    ['an alias', 'state_dir: &a x\naudit_path: *a\n', 'enforcecore.config.yaml`: '],
    ['brackets without end', '['.repeat(60_000), 'enforcecore.config.yaml`: '],
    ['too much', `# ${'x'.repeat(70_000)}`, 'must be at most 65536 bytes'],
  ])('%s', async (_kind, text, message) => {
    await expect(load({}, configured(text))).rejects.toMatchObject(invalid(message));
  });

  test('a file that was asked for and is not there', async () => {
    await expect(load({}, testFolder(), 'x.yaml')).rejects.toMatchObject(invalid('(ENOENT)'));
  });

  test('a folder', async () => {
    const folder = testFolder();
    mkdirSync(join(folder, 'enforcecore.config.yaml'));
    await expect(load({}, folder)).rejects.toMatchObject(invalid('is not a regular file'));
  });

  test.skipIf(process.platform === 'win32')('a pipe, which it does not wait for', async () => {
    const folder = testFolder();
    spawnSync('mkfifo', [join(folder, 'enforcecore.config.yaml')]);
    await expect(load({}, folder)).rejects.toMatchObject(invalid('is not a regular file'));
  });

  test('a device without end', async () => {
    await expect(load({}, '/', '/dev/zero')).rejects.toMatchObject(
      invalid('is not a regular file'),
    );
  });
});

describe('settings of a program', () => {
  test('are held to their shape, whole', async () => {
    const whole = await load();
    expect(() => checkSettings(whole)).not.toThrow();
    for (const key of Object.keys(whole)) {
      const { [key as keyof typeof whole]: _left, ...rest } = whole;
      expect(() => checkSettings(rest)).toThrow(key);
    }
    expect(() => checkSettings({ ...whole, failOpen: true })).toThrow('failOpen');
    expect(() => checkSettings(null)).toThrow(
      expect.objectContaining({ code: 'ENF_SETTINGS_INVALID' }),
    );
  });
});

test('there is no setting to let calls through', () => {
  expect(SETTING_NAMES.filter((name) => /open|skip|ignore|disable/.test(name))).toEqual([]);
});
