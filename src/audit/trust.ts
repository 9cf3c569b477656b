import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ChainVerifier } from './chain-verifier.ts';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import {
  CHECKPOINT_NAME,
  HANDOVERS_NAME,
  HISTORY_NAME,
  type KeyHandover,
} from './checkpoint-files.ts';
import { judgeCheckpoint, KeyEpochs, type SignatureVerdict } from './key-epochs.ts';
import type { Findings, ProblemKind } from './problem.ts';
import { RootWatch } from './root-watch.ts';
import { splitNotes } from './signed-note.ts';
import type { VerifierKey } from './signing-key.ts';

/** Beyond this only the newest part of the history is read: 64,000 checkpoints, 64 million entries. */
const HISTORY_BYTES_MAX = 16 * 1024 * 1024;

/** Where a checkpoint was found decides what it can prove. */
type Role = 'checkpoint' | 'history' | 'handover' | 'anchor';

interface Claim {
  readonly role: Role;
  readonly file: string;
  readonly checkpoint: SignedCheckpoint;
}

/** How far signatures reach into a trail. */
export interface Trust {
  readonly level: 'chain' | 'signed' | 'anchored';
  /** Entries that the newest checkpoint covers. */
  readonly signedSize: number;
}

const handoverSchema: z.ZodType<KeyHandover> = z.strictObject({
  header: z.string(),
  checkpoint: z.string(),
});

/**
 * Everything that a verifier believes about a trail besides its entries: a pinned key, the keys that
 * follow from it, and the checkpoints that those keys signed.
 *
 * It is read before the entries, so that a trail that grows meanwhile is never behind its checkpoint.
 */
export class TrustMaterial {
  readonly #findings: Findings;
  readonly #epochs: KeyEpochs;
  readonly #claims: Claim[] = [];

  private constructor(findings: Findings, pinned: VerifierKey) {
    this.#findings = findings;
    this.#epochs = new KeyEpochs(pinned);
  }

  /**
   * Reads the checkpoint files of a trail, and the anchors.
   *
   * @param anchors - checkpoints that were kept outside the trail, one behind the other
   */
  static async read(
    directory: string,
    pinned: VerifierKey,
    anchors: string | null,
    findings: Findings,
  ): Promise<TrustMaterial> {
    const trust = new TrustMaterial(findings, pinned);
    // The newest checkpoint first: what is read later can only be newer.
    const newest = await readTail(join(directory, CHECKPOINT_NAME));
    const history = await readTail(join(directory, HISTORY_NAME));
    trust.#readHandovers((await readTail(join(directory, HANDOVERS_NAME))) ?? '');
    trust.#readNewest(newest);
    trust.#readHistory(history ?? '');
    for (const note of splitNotes(anchors ?? '')) trust.#readNote('anchor', 'anchor', note);
    if (anchors === '')
      trust.#at('anchor', () => findings.problem('checkpoint_malformed', 'it is empty'));
    trust.#findEquivocation();
    return trust;
  }

  /** Collects the roots that the checkpoints speak of. */
  watch(): RootWatch {
    return new RootWatch(this.#claims.map(({ checkpoint }) => checkpoint.size));
  }

  /** Compares the checkpoints with the trail that was read. */
  judge(chain: ChainVerifier, watch: RootWatch): Trust {
    this.#checkHeaders(chain);
    const [newest] = this.#claims.filter(({ role }) => role === 'checkpoint');
    const isSigned = newest !== undefined && this.#holds(newest, chain, watch);
    this.#judgeOlder(chain, watch);
    const anchors = this.#claims.filter(({ role }) => role === 'anchor');
    const held = anchors.filter((anchor) => this.#holds(anchor, chain, watch));
    const isAnchored = isSigned && anchors.length > 0 && held.length > 0;
    const signedSize = isSigned ? newest.checkpoint.size : 0;
    return { level: isAnchored ? 'anchored' : isSigned ? 'signed' : 'chain', signedSize };
  }

  #readNewest(text: string | null): void {
    if (text === null) {
      this.#at(CHECKPOINT_NAME, () =>
        this.#findings.problem('checkpoint_missing', 'there is no checkpoint'),
      );
    } else this.#readNote('checkpoint', CHECKPOINT_NAME, text);
  }

  #readHistory(text: string): void {
    const notes = splitNotes(text);
    const last = notes.at(-1);
    // A crash may leave the last note half-written; the next start of the trail writes on behind it.
    if (last !== undefined && parseCheckpoint(last) === null) {
      this.#at(HISTORY_NAME, () =>
        this.#findings.warn('history_torn', 'the last note is not whole'),
      );
      notes.pop();
    }
    for (const note of notes) this.#readNote('history', HISTORY_NAME, note);
  }

  #readHandovers(text: string): void {
    for (const [index, line] of text.split('\n').entries()) {
      if (line !== '') this.#at(HANDOVERS_NAME, () => this.#readHandover(line), index + 1);
    }
  }

  #readHandover(line: string): void {
    const record = parseJson(line);
    if (record === undefined) {
      this.#findings.warn('history_torn', 'the record is not whole');
      return;
    }
    const handover = handoverSchema.safeParse(record);
    const verdict = handover.success ? this.#epochs.accept(handover.data) : 'malformed';
    if (verdict === 'malformed' || verdict === 'bad-signature') {
      this.#findings.problem(
        'key_handover_invalid',
        'the change of keys is not signed by both keys',
      );
    }
    if (verdict !== 'accepted' || !handover.success) return;
    const checkpoint = parseCheckpoint(handover.data.checkpoint);
    if (checkpoint !== null)
      this.#claims.push({ role: 'handover', file: HANDOVERS_NAME, checkpoint });
  }

  /** UNTRUSTED: a note becomes a claim only when the key in force at its size signed it. */
  #readNote(role: Role, file: string, text: string): void {
    this.#at(file, () => {
      const checkpoint = parseCheckpoint(text);
      if (checkpoint === null) {
        this.#findings.problem('checkpoint_malformed', 'it is no signed checkpoint');
        return;
      }
      const verdict = judgeCheckpoint(checkpoint, this.#epochs);
      if (verdict === 'signed') this.#claims.push({ role, file, checkpoint });
      else this.#reportSignature(role, verdict);
    });
  }

  #reportSignature(role: Role, verdict: Exclude<SignatureVerdict, 'signed'>): void {
    // The history may begin before the pinned key; the newest checkpoint vouches for that part.
    if (verdict === 'before_pinned_key' && role === 'history') return;
    const kinds: Record<typeof verdict, ProblemKind> = {
      bad_signature: 'checkpoint_bad_signature',
      untrusted_key: 'checkpoint_untrusted_key',
      before_pinned_key: 'checkpoint_untrusted_key',
      wrong_epoch: 'wrong_epoch_key',
    };
    const what = verdict.replaceAll('_', ' ');
    this.#findings.problem(kinds[verdict], `it is not signed by the key of its time: ${what}`);
  }

  /** Two signed checkpoints of one size and different roots: the trail was shown in two versions. */
  #findEquivocation(): void {
    const first = new Map<number, Claim>();
    for (const claim of this.#claims) {
      const other = first.get(claim.checkpoint.size) ?? claim;
      first.set(claim.checkpoint.size, other);
      if (other.checkpoint.root.equals(claim.checkpoint.root)) continue;
      const evidence = `${other.checkpoint.source}\n${claim.checkpoint.source}`;
      this.#at(claim.file, () =>
        this.#findings.problem('equivocation', `two roots are signed for one size:\n${evidence}`),
      );
    }
  }

  /** Every key that a header names must have been handed over to. */
  #checkHeaders(chain: ChainVerifier): void {
    for (const { seq, vkey, segment } of chain.headers) {
      const expected = this.#epochs.keyFor(seq + 1);
      if (vkey === (expected?.vkey ?? null) || expected === null) continue;
      // Keyless beginnings exist; a keyless segment after a signed one does not.
      const isBefore =
        vkey === null && !chain.headers.some((other) => other.seq < seq && other.vkey);
      if (isBefore) continue;
      this.#at(segment, () => this.#reportHeader(vkey, seq === chain.entries - 1), 1);
    }
  }

  #reportHeader(vkey: string | null, isLastEntry: boolean): void {
    const isKnown = vkey !== null && this.#epochs.knows(vkey);
    if (isKnown)
      this.#findings.problem('wrong_epoch_key', 'the header names the key of another time');
    else if (isLastEntry) {
      const message =
        'the key of the last segment is not signed yet; the next start of the trail does it';
      this.#findings.warn('handover_pending', message);
    } else
      this.#findings.problem(
        'key_handover_missing',
        'nothing hands over to the key of this segment',
      );
  }

  /** One problem for all older checkpoints: they mostly fail for one reason. */
  #judgeOlder(chain: ChainVerifier, watch: RootWatch): void {
    const older = this.#claims.filter(({ role }) => role === 'history' || role === 'handover');
    for (const claim of older) {
      if (claim.checkpoint.size < chain.firstSeq) continue;
      if (!this.#holds(claim, chain, watch)) return;
    }
  }

  #holds({ role, file, checkpoint }: Claim, chain: ChainVerifier, watch: RootWatch): boolean {
    const { size, root, origin } = checkpoint;
    let problem: [ProblemKind, string] | null = null;
    if (chain.origin !== null && origin !== chain.origin) {
      const kind = role === 'anchor' ? 'anchor_wrong_origin' : 'checkpoint_wrong_origin';
      problem = [kind, 'it is of another trail'];
    } else if (size > chain.entries) {
      problem = ['truncated', `it covers ${size} entries, the trail has ${chain.entries}`];
    } else if (size < chain.firstSeq) {
      if (role === 'anchor') {
        this.#at(file, () => this.#findings.warn('anchor_pruned', 'its entries were removed'));
        return false;
      }
      problem = ['checkpoint_before_trail', 'it covers only entries that were removed'];
    } else if (watch.rootAt(size)?.equals(root) !== true) {
      problem = ['root_mismatch', `its root over ${size} entries is not the root of the trail`];
    }
    if (problem === null) return true;
    const [kind, message] = problem;
    this.#at(file, () => this.#findings.problem(kind, message));
    return false;
  }

  #at(file: string | null, report: () => void, line: number | null = null): void {
    this.#findings.segment = file;
    this.#findings.line = line;
    report();
  }
}

/** Text of the last part of a file; null when there is no such regular file. */
async function readTail(path: string): Promise<string | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (handle === null) return null;
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) return '';
    const start = Math.max(0, facts.size - HISTORY_BYTES_MAX);
    const bytes = Buffer.alloc(facts.size - start);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    const text = bytes.toString('utf8', 0, bytesRead);
    // The part begins in the middle of a note.
    return start === 0 ? text : splitNotes(text).slice(1).join('');
  } finally {
    await handle.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a crash left it half-written; that it is missing is found by its header
  }
}
