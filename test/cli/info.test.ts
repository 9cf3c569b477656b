import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandPlace } from '../fixtures/command-line.ts';
import { infoJson } from './json-schemas.ts';

async function infoOf(files: Readonly<Record<string, string>>, ...words: readonly string[]) {
  const { cwd, run } = commandPlace(files, { env: { ENFORCECORE_LOG_LEVEL: 'warn' } });
  const { code, out } = await run('info', '--json', ...words);
  return { cwd, code, info: infoJson.parse(JSON.parse(out)) };
}

describe('info', () => {
  test('says where each setting comes from', async () => {
    const { cwd, info } = await infoOf({ 'enforcecore.config.yaml': 'audit_compress: false\n' });
    expect(info.settings).toMatchObject({
      logLevel: { value: 'warn', from: 'environment', name: 'ENFORCECORE_LOG_LEVEL' },
      auditCompress: {
        value: false,
        from: 'file',
        name: join(cwd, 'enforcecore.config.yaml'),
      },
      auditDurability: { value: 'os', from: 'default' },
      stateDir: { value: join(cwd, 'state/enforcecore/state'), from: 'default' },
    });
    expect(Object.keys(info.settings)).toHaveLength(10);
  });

  test('names the policy in use, and why one is none', async () => {
    expect((await infoOf({})).info.policy).toMatchObject({ name: 'default', problem: null });
    const files = { 'bad.yaml': 'nmae: x\n' };
    expect((await infoOf(files, '--policy', 'bad.yaml')).info.policy).toMatchObject({
      name: null,
      problem: expect.stringContaining('`nmae` is not a key here'),
    });
  });

  test('tells the tiers that work here, strongest first', async () => {
    const { info } = await infoOf({});
    const tiers = info.tiers.filter(({ works }) => works).map(({ tier }) => tier);
    expect(tiers.slice(-2)).toEqual(['process', 'thread']);
    expect(new Set(info.tiers.map(({ tier }) => tier)).size).toBe(4);
    for (const { works, cause, remedy } of info.tiers) {
      expect([cause, remedy].every((text) => (text === null) === works)).toBe(true);
    }
  });

  test('warns of a trail that nobody signs, and of none', async () => {
    expect((await infoOf({})).info.warnings).toEqual([
      expect.stringContaining('the trail is unsigned'),
    ]);
    const off = { 'enforcecore.config.yaml': 'audit_enabled: false\n' };
    expect((await infoOf(off)).info.warnings).toEqual([expect.stringContaining('audit is off')]);
    const signed = { 'enforcecore.config.yaml': 'audit_key: audit.key\n' };
    expect((await infoOf(signed)).info.warnings).toEqual([]);
  });

  test.each([60, 120])('reads well at %i columns', async (columns) => {
    const { code, out } = await commandPlace({}, { columns }).run('info');
    expect(code).toBe(0);
    expect(out).toMatch(/^enforcecore {2}\d+\.\d+\.\d+\nnode {9}v/);
    expect(out).toContain('\n  logLevel ');
    const broken = out.split('\n').filter((line) => line.length > columns);
    // Paths are not broken.
    expect(broken.every((line) => line.includes('/'))).toBe(true);
  });

  test('a setting that is none is one clear line', async () => {
    const { cwd, run } = commandPlace();
    writeFileSync(join(cwd, 'x.yaml'), 'audit_pth: x\n');
    const { code, out, err } = await run('info', '--config', 'x.yaml');
    expect({ code, out, lines: err.trim().split('\n').length }).toEqual({
      code: 2,
      out: '',
      lines: 1,
    });
    expect(err).toContain('`audit_pth`: no such setting');
  });
});
