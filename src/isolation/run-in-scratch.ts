import { tmpdir } from 'node:os';
import type { Layer } from '../call.ts';
import { emptyReport, type RunEnd, type RunReport } from './runner.ts';
import { createScratch, removeScratch } from './scratch.ts';

/**
 * Runs one call in a private folder that is gone afterwards.
 *
 * @param run - gets the folder
 * @returns its report. A folder that cannot be made, or that cannot be removed, is an end of the
 *   call like any other: a tool must not be able to leave something behind and succeed
 */
export async function runInScratch(
  layers: readonly Layer[],
  run: (scratch: string) => Promise<RunReport>,
): Promise<RunReport> {
  const made = await openScratch();
  if ('end' in made) return emptyReport(made.end, { layers });
  let left: RunEnd | null = null;
  let report: RunReport;
  try {
    report = await run(made.scratch);
  } finally {
    left = await takeScratchAway(made.scratch);
  }
  return left === null ? report : { ...report, end: left };
}

/** A private folder for a worker, or how its call ends without one. */
export async function openScratch(): Promise<
  { readonly scratch: string } | { readonly end: RunEnd }
> {
  return createScratch(tmpdir()).then(
    (scratch) => ({ scratch }),
    (cause: unknown) => ({ end: notMade(cause) }),
  );
}

/** Removes such a folder. Not null: how the call ends that left something in it for ever. */
export async function takeScratchAway(scratch: string): Promise<RunEnd | null> {
  return removeScratch(scratch).then(() => null, notRemoved);
}

function notMade(cause: unknown): RunEnd {
  return {
    status: 'isolation-unavailable',
    code: 'ENF_ISOLATION_UNAVAILABLE',
    message: `no private folder can be made in \`${tmpdir()}\` (${codeOf(cause)}); set TMPDIR to one that is writable`,
  };
}

function notRemoved(cause: unknown): RunEnd {
  return {
    status: 'crashed',
    code: 'ENF_INTERNAL',
    message: `the private folder of the call could not be removed (${codeOf(cause)})`,
  };
}

function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException).code ?? 'unknown error';
}
