import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ChainVerifier } from './chain-verifier.ts';
import { type ReadResult, readLines } from './line-reader.ts';
import { Findings, type Problem, type ProblemKind, type Warning } from './problem.ts';
import { RootWatch } from './root-watch.ts';
import { listSegments, type SegmentFile } from './segment-files.ts';
import { parseVerifierKey, type VerifierKey } from './signing-key.ts';
import { namedSegment } from './trail-reader.ts';
import { type Trust, TrustMaterial } from './trust.ts';
import { type PythonTrail, verifyPythonTrail } from './verify-python.ts';

/** How a trail is verified. */
export interface VerifyOptions {
  /** Verifier key, or the path of a file that holds it. */
  readonly key?: string;
  /** Path of a file with checkpoints that were kept outside the trail; needs `key`. */
  readonly checkpoint?: string;
  /** Level that must be reached. */
  readonly require?: 'signed' | 'anchored';
  /** Entries that may stand behind the last checkpoint. */
  readonly maxUnsigned?: number;
  /** Who wrote the trail; trails of the Python EnforceCore have a chain only. */
  readonly format?: 'enforcecore' | 'enforcecore-py';
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
}

/** What a verifier found. */
export interface VerifyReport {
  /** True exactly when `exitCode` is 0. */
  readonly ok: boolean;
  /** 0 intact · 1 tampered with · 2 wrong usage, or the trail cannot be read · 3 incomplete, or weaker than required. */
  readonly exitCode: 0 | 1 | 2 | 3;
  /** What the answer rests on: the chain alone, a checkpoint by the given key, or one kept outside. */
  readonly level: 'chain' | 'signed' | 'anchored';
  /** Entries of the whole trail, those in segments that were removed included. */
  readonly entries: number;
  /** Entries behind the newest checkpoint: whoever can write the files could have replaced them. */
  readonly unsigned: number;
  /** RFC 6962 root over all entries, 64 hex digits; null for a trail without entries. */
  readonly rootHash: string | null;
  readonly headHash: string | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

/** Problems that leave the trail incomplete or weakly proven, but not tampered with. */
const INCOMPLETE: ReadonlySet<ProblemKind> = new Set([
  'torn_tail',
  'level_too_low',
  'too_many_unsigned',
]);
const UNUSABLE: ReadonlySet<ProblemKind> = new Set(['usage', 'unreadable']);
const WRITE_FOR_OTHERS = 0o022;
/** What both formats have. */
type ChainSummary = PythonTrail;

const CHAIN_ONLY: Trust = { level: 'chain', signedSize: 0 };
const LEVELS = ['chain', 'signed', 'anchored'] as const;

/**
 * Verifies a trail directory, or one segment file of it.
 *
 * It reads the trail once, in memory that does not grow with it, lists every problem, and never
 * throws for what it finds on the disk.
 *
 * @param path - UNTRUSTED directory or file
 */
export async function verifyTrail(
  path: string,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings = new Findings();
  try {
    return await verify(path, options, findings);
  } catch (error) {
    findings.problem('unreadable', `cannot be read: ${(error as Error).message}`);
    return makeReport(null, CHAIN_ONLY, findings);
  }
}

async function verify(
  path: string,
  options: VerifyOptions,
  findings: Findings,
): Promise<VerifyReport> {
  const pinned = await readKey(options, findings);
  const anchors = await readAnchors(options, findings);
  if (findings.problems.length > 0) return makeReport(null, CHAIN_ONLY, findings);
  if (options.format === 'enforcecore-py') return verifyPython(path, options, findings);
  const directory = (await stat(path)).isDirectory() ? path : dirname(path);
  // Before the segments are listed: a trail that is written is then never behind its checkpoints.
  const trust = pinned && (await TrustMaterial.read(directory, pinned, anchors, findings));
  const place = await locate(path, findings);
  const watch = trust?.watch() ?? new RootWatch([]);
  const chain = new ChainVerifier(findings, watch);
  await readSegments(place, chain, findings, options);
  await trust?.readNewHandovers(place.directory);
  const reached = trust?.judge(chain, watch) ?? CHAIN_ONLY;
  if (place.isWhole) checkBeginning(chain, reached, findings);
  checkDemands(options, chain, reached, findings);
  return makeReport(chain, reached, findings);
}

async function verifyPython(
  path: string,
  options: VerifyOptions,
  findings: Findings,
): Promise<VerifyReport> {
  if (options.key !== undefined) findings.problem('usage', 'a trail of this format has no `key`');
  const { size: totalBytes } = await stat(path);
  const trail = await verifyPythonTrail(path, findings, (bytes) =>
    options.onProgress?.({ bytes, totalBytes: Math.max(bytes, totalBytes) }),
  );
  checkDemands(options, trail, CHAIN_ONLY, findings);
  return makeReport(trail, CHAIN_ONLY, findings);
}

/** A key is text with pluses, which no sensible path has; anything else names a file. */
async function readKey({ key }: VerifyOptions, findings: Findings): Promise<VerifierKey | null> {
  if (key === undefined) return null;
  try {
    return parseVerifierKey(
      /^[^\s+]+\+[0-9a-f]{8}\+/.test(key) ? key : await readFile(key, 'utf8'),
    );
  } catch (error) {
    findings.problem('usage', `\`key\`: ${(error as Error).message}`);
    return null;
  }
}

async function readAnchors(
  { key, checkpoint }: VerifyOptions,
  findings: Findings,
): Promise<string | null> {
  if (checkpoint === undefined) return null;
  if (key === undefined) findings.problem('usage', '`checkpoint` needs the `key` that signed it');
  try {
    return await readFile(checkpoint, 'utf8');
  } catch (error) {
    findings.problem('usage', `\`checkpoint\`: ${(error as Error).message}`);
    return null;
  }
}

interface Place {
  readonly directory: string;
  readonly segments: readonly SegmentFile[];
  readonly totalBytes: number;
  /** False for a single file: what comes before it is not asked for. */
  readonly isWhole: boolean;
}

async function locate(path: string, findings: Findings): Promise<Place> {
  const facts = await stat(path);
  const isWhole = facts.isDirectory();
  const directory = isWhole ? path : dirname(path);
  const segments = isWhole ? listSegments(await readdir(path)) : [namedSegment(basename(path))];
  if (isWhole && (facts.mode & WRITE_FOR_OTHERS) !== 0) {
    findings.warn('writable_by_others', 'others may write the directory of the trail');
  }
  if (segments.length === 0) findings.problem('no_segments', 'the directory has no segment files');
  return { directory, segments, isWhole, totalBytes: await totalSize(directory, segments) };
}

async function totalSize(directory: string, segments: readonly SegmentFile[]): Promise<number> {
  let total = 0;
  for (const { name } of segments) {
    const facts = await stat(join(directory, name)).catch(() => null); // reported when it is read
    total += facts?.size ?? 0;
  }
  return total;
}

async function readSegments(
  place: Place,
  chain: ChainVerifier,
  findings: Findings,
  { onProgress }: VerifyOptions,
): Promise<void> {
  const { directory, segments, totalBytes } = place;
  let before = 0;
  for (const [index, segment] of segments.entries()) {
    // Nothing more can become worse, and whoever wrote it chose how much there is.
    if (findings.isFull) return;
    if (segments[index - 1]?.number === segment.number) {
      chain.skipDuplicate(segment);
      continue;
    }
    let bytes = 0;
    chain.beginSegment(
      segment,
      segments.slice(index + 1).every(({ number }) => number === segment.number),
    );
    const file = join(directory, segment.name);
    const onBytes = (read: number): void => {
      bytes = read;
      onProgress?.({ bytes: before + read, totalBytes });
    };
    const read = { chain, findings, onBytes };
    let result = await readSegment(file, segment.isCompressed, read);
    // A trail that is written may have compressed the segment since its directory was listed.
    const isGone = !result.ok && result.reason === 'missing' && !segment.isCompressed;
    if (isGone) result = await readSegment(`${file}.gz`, true, read);
    chain.endSegment(result);
    before += bytes;
  }
}

interface Reading {
  readonly chain: ChainVerifier;
  readonly findings: Findings;
  readonly onBytes: (read: number) => void;
}

async function readSegment(
  file: string,
  isCompressed: boolean,
  { chain, findings, onBytes }: Reading,
): Promise<ReadResult> {
  const lines = readLines(file, isCompressed, { onBytes });
  let batch = await lines.next();
  for (; !batch.done; batch = await lines.next()) {
    chain.visit(batch.value);
    if (findings.isFull) return endReading(lines);
  }
  return batch.value;
}

async function endReading(lines: AsyncGenerator<unknown, ReadResult>): Promise<ReadResult> {
  await lines.return({ ok: true });
  return { ok: true };
}

/** Segments may be missing at the beginning only when a retention entry, signed if there is a key, says so. */
function checkBeginning(chain: ChainVerifier, trust: Trust, findings: Findings): void {
  const first = chain.firstSegment;
  if (first === null || first <= 1) return;
  findings.segment = null;
  findings.line = null;
  const limit = trust.level === 'chain' ? Number.POSITIVE_INFINITY : trust.signedSize;
  const isRetired = chain.retentions.some(
    ({ seq, firstKept }) => firstKept >= first && seq < limit,
  );
  const message = `segments 1 to ${first - 1} are missing`;
  if (isRetired) findings.warn('pruned_by_policy', `${message}, as the trail says`);
  else findings.problem('missing_segment', message);
}

function checkDemands(
  options: VerifyOptions,
  chain: ChainSummary,
  trust: Trust,
  findings: Findings,
): void {
  findings.segment = null;
  findings.line = null;
  const { require = 'chain', maxUnsigned = Number.POSITIVE_INFINITY } = options;
  if (LEVELS.indexOf(trust.level) < LEVELS.indexOf(require)) {
    findings.problem(
      'level_too_low',
      `level \`${require}\` is required, \`${trust.level}\` was reached`,
    );
  }
  const unsigned = countUnsigned(chain, trust);
  if (unsigned > maxUnsigned) {
    findings.problem(
      'too_many_unsigned',
      `${unsigned} entries are unsigned, at most ${maxUnsigned} may be`,
    );
  }
}

const countUnsigned = (chain: ChainSummary, { signedSize }: Trust): number =>
  Math.max(0, chain.entries - signedSize);

function makeReport(chain: ChainSummary | null, trust: Trust, findings: Findings): VerifyReport {
  const exitCode = exitCodeOf(findings.problems);
  return {
    ok: exitCode === 0,
    exitCode,
    level: trust.level,
    entries: chain?.entries ?? 0,
    unsigned: chain === null ? 0 : countUnsigned(chain, trust),
    rootHash: chain?.rootHash ?? null,
    headHash: chain?.headHash ?? null,
    problems: findings.problems,
    warnings: findings.warnings,
  };
}

function exitCodeOf(problems: readonly Problem[]): 0 | 1 | 2 | 3 {
  if (problems.some(({ kind }) => UNUSABLE.has(kind))) return 2;
  if (problems.some(({ kind }) => !INCOMPLETE.has(kind))) return 1;
  return problems.length > 0 ? 3 : 0;
}
