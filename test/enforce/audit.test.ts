import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FileLayer, nodeFileLayer } from '../../src/audit/file-layer.ts';
import { verifyTrail } from '../../src/audit/index.ts';
import { createEnforcer } from '../../src/enforce/index.ts';
import { loadSettings } from '../../src/settings.ts';
import { tool } from '../fixtures/job.ts';
import { openEnforcer, testFolder } from '../fixtures/open-enforcer.ts';

/** A disk that is full from the write on that `isFull` says. Takes half of it, as write(2) does. */
function fillingDisk(isFull: (text: string) => boolean): FileLayer {
  return {
    ...nodeFileLayer,
    writeSync: (fd, bytes) => {
      if (!isFull(Buffer.from(bytes).toString('utf8'))) return nodeFileLayer.writeSync(fd, bytes);
      return nodeFileLayer.writeSync(fd, bytes.subarray(0, bytes.length >> 1));
    },
  };
}

const full = (type: string) => fillingDisk((text) => text.includes(`"type":"${type}"`));

describe('a disk that fills up', () => {
  test('before the call: nothing runs', async () => {
    const folder = testFolder();
    const trail = join(folder, 'trail');
    const { enforcer, entries } = await openEnforcer(
      {},
      { audit: { path: trail, files: full('decision') } },
    );
    const file = join(folder, 'effect');
    const outcome = await enforcer.run(tool('mark-and-wait.mjs'), { file });
    expect(outcome).toMatchObject({
      status: 'audit-failed',
      error: { code: 'ENF_AUDIT_WRITE', details: { didRun: false } },
    });
    expect(outcome).not.toHaveProperty('audit');
    expect(existsSync(file)).toBe(false);
    expect(entries).toThrow();
  });

  test('after the call: the value is withheld, and the error says that the tool ran', async () => {
    const path = join(testFolder(), 'trail');
    const { enforcer } = await openEnforcer({}, { audit: { path, files: full('outcome') } });
    const outcome = await enforcer.run(tool('print-lines.mjs'), { out: 'printed', err: 'printed' });
    expect(outcome).toMatchObject({
      status: 'audit-failed',
      error: { details: { didRun: true }, message: expect.stringContaining('did run') },
      stdout: '',
      stderr: '',
    });
    expect(JSON.stringify(outcome)).not.toMatch(/printed|"done"/);
    // What was written in part is cut off again: the decision stands as evidence, intact.
    const report = await verifyTrail(path);
    expect(report).toMatchObject({ ok: true, entries: 2 });
  });

  test('later calls fail closed, too', async () => {
    const path = join(testFolder(), 'trail');
    const { enforcer } = await openEnforcer({}, { audit: { path, files: full('outcome') } });
    await enforcer.run(tool('add.mjs'), { a: 1, b: 1 });
    const next = await enforcer.run(tool('add.mjs'), { a: 1, b: 1 });
    expect(next).toMatchObject({ status: 'audit-failed', error: { details: { didRun: false } } });
    await expect(enforcer.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  });

  test('a call that was denied anyway is audit-failed, and gives its slot back', async () => {
    const path = join(testFolder(), 'trail');
    const { enforcer } = await openEnforcer(
      { denied_tools: ['add'] },
      { audit: { path, files: full('decision') } },
    );
    expect((await enforcer.run(tool('add.mjs'))).status).toBe('audit-failed');
  });

  test('a wrapped function throws, and did not run', async () => {
    const path = join(testFolder(), 'trail');
    const { enforcer } = await openEnforcer({}, { audit: { path, files: full('decision') } });
    let isRun = false;
    const call = enforcer.wrap(
      'f',
      () => {
        isRun = true;
      },
      { trusted: ['isolation'] },
    );
    await expect(call()).rejects.toMatchObject({ name: 'AuditError' });
    expect(isRun).toBe(false);
  });
});

describe('opening the trail', () => {
  test('fails where the folder cannot be one', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'file'), 'x');
    await expect(openEnforcer({}, { audit: { path: join(folder, 'file') } })).rejects.toMatchObject(
      {
        code: 'ENF_AUDIT_OPEN',
      },
    );
  });

  test.skipIf(process.getuid?.() === 0)('fails where the folder may not be written', async () => {
    const folder = join(testFolder(), 'locked');
    mkdirSync(folder);
    chmodSync(folder, 0o500);
    await expect(openEnforcer({}, { audit: { path: folder } })).rejects.toMatchObject({
      code: 'ENF_AUDIT_OPEN',
    });
  });

  test.each([[{}], [{ path: '' }], [true], ['./audit'], [null]])(
    'is misuse with %o',
    async (audit) => {
      await expect(openEnforcer({}, { audit: audit as never })).rejects.toMatchObject({
        code: 'ENF_CALL_ARGUMENT',
      });
    },
  );
});

describe('audit that is off', () => {
  test('leaves no entry, and the outcome has no receipt', async () => {
    const { enforcer } = await openEnforcer({}, { audit: false });
    const outcome = await enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
    expect(outcome).toMatchObject({ status: 'ok', value: 3 });
    expect(outcome).not.toHaveProperty('audit');
    enforcer.killSwitch.trip('also without a trail');
  });

  test.each([
    ['by the program', { audit: false as const }],
    ['by the settings', { settings: { auditEnabled: false } }],
  ])('is refused by a policy that requires it: %s', async (_how, options) => {
    const settings = {
      ...(await loadSettings({ env: {}, cwd: testFolder() })),
      auditPath: join(testFolder(), 'trail'),
      ...('settings' in options ? options.settings : {}),
    };
    const strict = { name: 'strict', audit: { required: true } };
    const opening = createEnforcer({ policy: strict, ...options, settings });
    await expect(opening).rejects.toMatchObject({ code: 'ENF_AUDIT_REQUIRED', name: 'AuditError' });
  });

  test('is never the consequence of half a Settings object', async () => {
    const settings = { auditPath: join(testFolder(), 'trail') } as never;
    await expect(createEnforcer({ policy: { name: 'x' }, settings })).rejects.toMatchObject({
      code: 'ENF_SETTINGS_INVALID',
      message: expect.stringContaining('auditEnabled'),
    });
  });

  test('by default it is where the settings say', async () => {
    const auditPath = join(testFolder(), 'trail');
    const settings = { ...(await loadSettings({ env: {}, cwd: testFolder() })), auditPath };
    const enforcer = await createEnforcer({ policy: { name: 'x' }, settings });
    const call = enforcer.wrap('f', () => 1, { trusted: ['isolation'] });
    expect(await call()).toBe(1);
    await enforcer.close();
    expect(await verifyTrail(auditPath)).toMatchObject({ ok: true, entries: 3 });
  });
});

describe('options of the enforcer', () => {
  test.each<[string, object]>([
    ['misspelt', { polcy: { name: 'x' } }],
    ['a policy that is a number', { policy: 5 }],
    ['an empty path', { policy: '' }],
    ['a logger that is a text', { logger: 'debug' }],
    ['a store that is null', { store: null }],
  ])('are refused: %s', async (_kind, options) => {
    await expect(createEnforcer({ audit: false, ...options } as never)).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
  });
});

describe('write paths of a policy', () => {
  test.each(['.', './trail', './trail/deeper'])('may not overlap the trail: %s', async (write) => {
    const folder = testFolder();
    const settings = {
      ...(await loadSettings({ env: {}, cwd: folder })),
      auditPath: join(folder, 'trail'),
    };
    const policy = { name: 'x', filesystem: { write: [join(folder, write)] } };
    await expect(createEnforcer({ policy, settings })).rejects.toMatchObject({
      code: 'ENF_POLICY_INVALID',
      message: expect.stringContaining('overlaps'),
    });
  });
});
