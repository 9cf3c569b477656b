import { isUtf8 } from 'node:buffer';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Line, readLines } from './line-reader.ts';
import type { Findings } from './problem.ts';
import { parsePythonLine } from './python-entry.ts';
import { PYTHON_TRAIL_NAME } from './trail-reader.ts';

/** Ids that are remembered at a time, about 10 MB. */
const IDS_MAX = 100_000;

/** What a trail of the Python EnforceCore turned out to be. */
export interface PythonTrail {
  readonly entries: number;
  /** Hash of the first entry, which that project calls the root. */
  readonly rootHash: string | null;
  readonly headHash: string | null;
}

/**
 * Verifies a trail of the Python EnforceCore, of version 1.5 and before or 1.6 and later. It has a
 * chain and no signatures, so its level is `chain`.
 *
 * @param path - UNTRUSTED; its audit directory, or a trail file
 * @throws the errno error when there is no such path
 */
export async function verifyPythonTrail(
  path: string,
  findings: Findings,
  onBytes: (bytes: number) => void,
): Promise<PythonTrail> {
  const isDirectory = (await stat(path)).isDirectory();
  const file = isDirectory ? join(path, PYTHON_TRAIL_NAME) : path;
  const chain = new PythonChain(findings);
  findings.segment = isDirectory ? PYTHON_TRAIL_NAME : path;
  const batches = readLines(file, file.endsWith('.gz'), { onBytes });
  let batch = await batches.next();
  for (; !batch.done; batch = await batches.next()) {
    for (const line of batch.value) chain.visit(line);
    if (findings.isFull) {
      await batches.return({ ok: true });
      return chain;
    }
  }
  findings.line = null;
  if (!batch.value.ok) {
    const kind = batch.value.reason === 'missing' ? 'no_segments' : batch.value.reason;
    findings.problem(kind, batch.value.message);
  }
  return chain;
}

class PythonChain implements PythonTrail {
  readonly #findings: Findings;
  readonly #ids = new Set<string>();
  entries = 0;
  rootHash: string | null = null;
  headHash: string | null = null;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  visit({ bytes, start, end, number, isWhole, isTooLong }: Line): void {
    this.#findings.line = number;
    if (!isWhole) this.#findings.problem('torn_tail', `${end - start} bytes are no whole line`);
    else if (isTooLong) this.#findings.problem('line_too_long', 'the line is too long');
    else if (end === start) this.#findings.problem('blank_line', 'the line is empty');
    else if (!isUtf8(bytes.subarray(start, end))) {
      this.#findings.problem('invalid_utf8', 'the line is not UTF-8');
    } else this.#visitEntry(bytes.toString('utf8', start, end));
  }

  #visitEntry(text: string): void {
    const entry = parsePythonLine(text);
    if (entry === null) {
      this.#findings.problem('malformed_line', 'the line is no entry of the Python EnforceCore');
      return;
    }
    if (!entry.isIntact) this.#findings.problem('hash_mismatch', '`entry_hash` is not its hash');
    if (entry.previousHash !== (this.headHash ?? '')) {
      this.#findings.problem('chain_broken', '`previous_hash` is not the hash of the line before');
    }
    if (entry.unknown.length > 0) {
      this.#findings.problem('unknown_field', 'the entry has members that its hash does not cover');
    }
    this.#rememberId(entry.entryId);
    this.entries += 1;
    this.rootHash ??= entry.entryHash;
    this.headHash = entry.entryHash;
  }

  #rememberId(id: string): void {
    if (this.#ids.has(id))
      this.#findings.problem('duplicate_entry_id', '`entry_id` was used before');
    if (this.#ids.size >= IDS_MAX) this.#ids.clear();
    this.#ids.add(id);
  }
}
