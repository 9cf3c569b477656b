import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { type Ended, type Launch, lacks, launch, launcher } from './launched-program.ts';

/** The user the attacks run as; they change what belongs to the user as a whole. */
export const ATTACKER = { uid: 200130, gid: 200130 };

/** True where the attacks below cannot be compiled. */
export const noCompiler: boolean = lacks('gcc', spawnSync('gcc', ['--version']).status === 0);

const folder = mkdtempSync(join(tmpdir(), 'raw-syscalls-'));
chmodSync(folder, 0o755);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'raw-syscalls');
if (!noCompiler) {
  const source = 'test/fixtures/tools/raw-syscalls.c';
  execFileSync('gcc', ['-static', '-O1', '-Wall', '-Werror', '-o', program, source]);
}

/** An argument: a number, or what `raw-syscalls.c` makes a pointer of. */
export type RawArgument = number | bigint | string;
export const text = (value: string): string => `"${value}`;
export const bytes = (...values: readonly number[]): string =>
  `#${Buffer.from(values).toString('hex')}`;
/** The result of an earlier call, by its place. */
export const result = (index: number): string => `$${index}`;
/** A place in a buffer of 64 KiB. */
export const buffer = (offset = 0): string => `&${offset}`;

export function call(name: string, ...args: readonly RawArgument[]): string {
  const number = syscallsOf(launcher.architecture).get(name);
  if (number === undefined) throw new Error(`no call \`${name}\``);
  return [number, ...args]
    .map((word) => (typeof word === 'string' ? word : BigInt.asUintN(64, BigInt(word))))
    .join(',');
}

/** The attack with nothing around it but the user it runs as: the positive control. */
export function unprotected(calls: readonly string[], user = ATTACKER): readonly number[] {
  const run = spawnSync(program, calls, { env: {}, cwd: '/', ...(isUser(user) ? {} : user) });
  return numbers(run.stdout.toString());
}

/** The attack in a child that goes on running; whoever started it kills it. */
export function startUnprotected(calls: readonly string[], user = ATTACKER) {
  return spawn(program, calls, {
    env: {},
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(isUser(user) ? {} : user),
  });
}

/** The attack under the launcher, by default as another user’s supervisor would start it. */
export async function confined(
  calls: readonly string[],
  options: Partial<Launch> = {},
): Promise<readonly number[]> {
  const ended = await confinedRun(calls, options);
  return numbers(ended.stdout);
}

async function confinedRun(
  calls: readonly string[],
  options: Partial<Launch> = {},
): Promise<Ended> {
  const ended = await launch({
    argv: [program, ...calls],
    ...(isUser(ATTACKER) ? {} : { startAs: ATTACKER }),
    ...options,
    landlock: options.landlock === null ? null : { execute: [program], ...options.landlock },
  });
  if (ended.outcome.state !== 'executed') throw new Error(ended.outcome.cause);
  return ended;
}

/** Only root can start a child as somebody else; otherwise it runs as ourselves. */
function isUser(user: { readonly uid: number }): boolean {
  return process.getuid?.() !== 0 || user.uid === 0;
}

function numbers(output: string): readonly number[] {
  return output
    .split('\n')
    .filter((line) => /^-?\d+$/.test(line))
    .map(Number);
}
