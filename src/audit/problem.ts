/** What can be wrong with a trail. */
export type ProblemKind =
  | 'hash_mismatch'
  | 'chain_broken'
  | 'seq_mismatch'
  | 'duplicate_entry_id'
  | 'malformed_line'
  | 'blank_line'
  | 'crlf'
  | 'bom'
  | 'invalid_utf8'
  | 'invalid_json'
  | 'non_canonical'
  | 'unknown_field'
  | 'missing_field'
  | 'malformed_entry'
  | 'unknown_type'
  | 'line_too_long'
  | 'torn_tail'
  | 'torn_middle_segment'
  | 'missing_segment'
  | 'segment_header_missing'
  | 'segment_number_mismatch'
  | 'origin_mismatch'
  | 'frontier_mismatch'
  | 'gz_corrupt'
  | 'checkpoint_missing'
  | 'checkpoint_malformed'
  | 'checkpoint_bad_signature'
  | 'checkpoint_untrusted_key'
  | 'checkpoint_wrong_origin'
  | 'checkpoint_before_trail'
  | 'anchor_wrong_origin'
  | 'wrong_epoch_key'
  | 'key_handover_missing'
  | 'key_handover_invalid'
  | 'root_mismatch'
  | 'truncated'
  | 'equivocation'
  | 'level_too_low'
  | 'too_many_unsigned'
  | 'not_regular_file'
  | 'no_segments'
  | 'unreadable'
  | 'usage'
  | 'too_many_problems';

/** What is worth knowing and harms no entry. */
export type WarningKind =
  | 'pruned_by_policy'
  | 'duplicate_segment'
  | 'clock_backwards'
  | 'torn_bytes_kept'
  | 'handover_pending'
  | 'anchor_pruned'
  | 'history_torn'
  | 'writable_by_others';

/** One thing that is wrong, and where. */
interface Finding<Kind> {
  readonly kind: Kind;
  /** Name of the file in the trail, mostly of a segment. */
  readonly segment: string | null;
  /** 1-based. */
  readonly line: number | null;
  readonly message: string;
}

export type Problem = Finding<ProblemKind>;
export type Warning = Finding<WarningKind>;

/** Problems and warnings that are listed; an attacker chooses how many there are. */
const FINDINGS_MAX = 1_000;

/** Collects what a verifier finds, and knows where it is. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Warning[] = [];
  segment: string | null = null;
  line: number | null = null;

  /** True when no more problems are listed: what follows need not be read. */
  get isFull(): boolean {
    return this.problems.length > FINDINGS_MAX;
  }

  problem(kind: ProblemKind, message: string): void {
    if (this.problems.length < FINDINGS_MAX) {
      this.problems.push({ kind, segment: this.segment, line: this.line, message });
    } else if (this.problems.length === FINDINGS_MAX) {
      const segment = this.segment;
      const text = `only the first ${FINDINGS_MAX} problems are listed; the rest was not read`;
      this.problems.push({ kind: 'too_many_problems', segment, line: this.line, message: text });
    }
  }

  warn(kind: WarningKind, message: string): void {
    if (this.warnings.length >= FINDINGS_MAX) return;
    this.warnings.push({ kind, segment: this.segment, line: this.line, message });
  }
}
