import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import {
  type DecisionEntry,
  type OutcomeEntry,
  openTrail,
  type TrailOptions,
} from '../../src/audit/index.ts';

const root = mkdtempSync(join(tmpdir(), 'enforcecore-audit-'));
afterAll(() => rmSync(root, { recursive: true, force: true }), 120_000);

/** A path that does not exist yet, in a folder of its own that is removed after the test file. */
export function scratchPath(name = 'trail'): string {
  return join(mkdtempSync(join(root, 'case-')), name);
}

export function decision(callId = 'call-1', changes: Partial<DecisionEntry> = {}): DecisionEntry {
  return {
    type: 'decision',
    callId,
    tool: 'fetch_page',
    target: { kind: 'module', path: '/srv/tools/fetch-page.js', sha256: '0f'.repeat(32) },
    decision: {
      effect: 'allow',
      reasons: [],
      wouldDeny: false,
      policy: { name: 'web', version: '1', digest: 'ab'.repeat(32) },
    },
    argsDigest: '11'.repeat(32),
    sentDigest: '22'.repeat(32),
    redactions: { email: 2 },
    context: { agent: 'a1', session: 's1' },
    tierAsked: 'auto',
    ...changes,
  };
}

export function outcome(callId = 'call-1', changes: Partial<OutcomeEntry> = {}): OutcomeEntry {
  return {
    type: 'outcome',
    callId,
    status: 'ok',
    isolation: {
      tier: 'isolated',
      layers: ['landlock', 'seccomp'],
      profileDigest: 'cd'.repeat(32),
      unenforced: [],
    },
    usage: { wallMs: 12.5, cpuMs: 3, peakMemoryBytes: 1e7, outputBytes: 42, costUsd: 0 },
    exit: { code: 0, signal: null },
    limitsHit: [],
    resultDigest: '33'.repeat(32),
    redactions: {},
    ...changes,
  };
}

/** Opens a trail, appends `calls` decisions with their outcomes, and closes it. */
export async function writeTrail(options: TrailOptions, calls: number): Promise<void> {
  const trail = await openTrail(options);
  for (let call = 0; call < calls; call += 1) {
    await trail.append(decision(`call-${call}`));
    await trail.append(outcome(`call-${call}`));
  }
  await trail.close();
}

export const firstSegment = (path: string): string => join(path, 'audit-000001.jsonl');

export function readLinesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

export function editLines(file: string, edit: (lines: string[]) => readonly string[]): void {
  writeFileSync(
    file,
    edit(readLinesOf(file))
      .map((line) => `${line}\n`)
      .join(''),
  );
}
