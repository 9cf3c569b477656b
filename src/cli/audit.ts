import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  EnforceError,
  exportTrail,
  generateKey,
  proveConsistency,
  proveEntry,
  recoverTrail,
} from '../index.ts';
import { entryLine } from './entry-line.ts';
import { EXIT } from './exit-code.ts';
import { oneOf, parseCount } from './quantity.ts';
import { oneLine, type Terminal } from './terminal.ts';

type Flags = Readonly<Record<string, string | boolean | undefined>>;

const FORMATS = ['enforcecore', 'enforcecore-py'] as const;

/** `audit keygen`: a private key in a file, its verifier key on stdout: pin that one elsewhere. */
export async function keygen(flags: Flags, { cwd, out }: Terminal): Promise<number> {
  const origin = textOf(flags, 'origin');
  const file = resolve(cwd, textOf(flags, 'out') ?? '');
  const { vkey } = await generateKey({
    out: file,
    ...(origin === undefined ? {} : { origin }),
  });
  out(flags['json'] === true ? `${JSON.stringify({ vkey, file })}\n` : `${vkey}\n`);
  return EXIT.ok;
}

/** `audit prove`: a C2SP tlog-proof of one entry, in a file or on stdout. */
export async function prove(
  [trail = '', seq = '']: readonly string[],
  flags: Flags,
  { cwd, out, err }: Terminal,
): Promise<number> {
  const { line, proof } = await proveEntry(resolve(cwd, trail), parseCount('seq', seq));
  const file = textOf(flags, 'out');
  if (file === undefined) {
    out(proof);
    return EXIT.ok;
  }
  await writeFile(resolve(cwd, file), proof, { flag: 'wx' });
  await writeFile(resolve(cwd, `${file}.entry`), `${line}\n`, { flag: 'wx' });
  err(`enforcecore: wrote ${oneLine(file)} and ${oneLine(file)}.entry\n`);
  return EXIT.ok;
}

/** `audit consistency`: a proof that the trail of an older size is a prefix of this one. */
export async function consistency(
  [trail = '', size = '']: readonly string[],
  { cwd, out }: Terminal,
): Promise<number> {
  out(await proveConsistency(resolve(cwd, trail), parseCount('size', size)));
  return EXIT.ok;
}

/** `audit export`: entries as JSON lines. */
export async function exportEntries(
  [trail = '']: readonly string[],
  flags: Flags,
  { cwd, out, canWrite }: Terminal,
): Promise<number> {
  const from = textOf(flags, 'from');
  const types = textOf(flags, 'types');
  const format = textOf(flags, 'format');
  const entries = exportTrail(resolve(cwd, trail), {
    ...(from === undefined ? {} : { fromSeq: parseCount('--from', from) }),
    ...(types === undefined ? {} : { types: types.split(',') }),
    ...(format === undefined ? {} : { format: oneOf('--format', format, FORMATS) }),
  });
  for await (const entry of entries) {
    out(entryLine(entry));
    if (!(await canWrite())) break;
  }
  return EXIT.ok;
}

/** `audit recover`: what was done, on stderr. */
export async function recover(
  [trail = '']: readonly string[],
  flags: Flags,
  { cwd, out, err }: Terminal,
): Promise<number> {
  const key = textOf(flags, 'key');
  const report = await recoverTrail({
    path: resolve(cwd, trail),
    ...(key === undefined ? {} : { key: resolve(cwd, key) }),
    breakLock: flags['breakLock'] === true,
    acceptLoss: flags['acceptLoss'] === true,
  });
  if (flags['json'] === true) {
    out(`${JSON.stringify(report)}\n`);
    return EXIT.ok;
  }
  const broken = report.brokenLock === null ? '' : ', its lock was broken';
  const lost = report.lostCheckpoint === null ? '' : ', a loss was accepted and recorded';
  err(`enforcecore: the trail can be continued: ${report.entries} entries${broken}${lost}\n`);
  return EXIT.ok;
}

function textOf(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new EnforceError('ENF_CLI_USAGE', `\`--${name}\` takes a value`);
}
