import { createHash } from 'node:crypto';
import type { Json } from '../call.ts';
import { canonicalJson, depthOf, presortedJson } from './canonical-json.ts';
import { ENTRY_DEPTH_MAX } from './canonical-scan.ts';
import type {
  DecisionEntry,
  EntryType,
  OutcomeEntry,
  RedactionTally,
  SegmentEntry,
  TornBytes,
  TrailEntry,
} from './entry.ts';
import { LINE_BYTES_MAX, SEALING_BYTES } from './sealed-line.ts';

/** Version of the entry format. */
export const FORMAT_VERSION = 1;

/** Members of a stored entry by type, in RFC 8785 order, besides those of every entry. */
const OWN_FIELDS: Readonly<Record<EntryType, readonly string[]>> = {
  checkpoint_error: ['message', 'stage'],
  decision: [
    'args',
    'args_digest',
    'call_id',
    'context',
    'dev_mode',
    'effect',
    'policy',
    'reasons',
    'redactions',
    'sent_digest',
    'target',
    'tier_asked',
    'tool',
    'would_deny',
  ],
  egress: ['bytes_in', 'bytes_out', 'call_id', 'effect', 'host', 'port', 'reason'],
  kill_switch: ['action', 'actor', 'reason'],
  outcome: [
    'call_id',
    'dev_mode',
    'error_code',
    'exit',
    'isolation',
    'limit',
    'limits_hit',
    'redactions',
    'result',
    'result_digest',
    'status',
    'usage',
    'would_deny',
  ],
  recovery: ['lost_checkpoint', 'torn'],
  retention: ['first_kept', 'retain_ms', 'segments'],
  segment: ['frontier', 'key_kept', 'origin', 'segment', 'torn', 'tree_size', 'vkey'],
};

/** Members that every entry has. */
export const COMMON_FIELDS = ['entry_id', 'seq', 'ts', 'type', 'v'] as const;

/** Every member an entry of a type may have, in RFC 8785 order. */
export const ENTRY_FIELDS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(OWN_FIELDS).map(([type, own]) => [type, [...own, ...COMMON_FIELDS].sort()]),
);

/** Facts that the writer gives to an entry. */
export interface Envelope {
  /** UUID version 4: its 122 random bits keep a leaf hash from being guessed back to its content. */
  readonly entryId: string;
  readonly seq: number;
  /** UTC with milliseconds: `2026-01-31T23:59:59.999Z`. */
  readonly ts: string;
}

type Body = { readonly [key: string]: Json | undefined };

/**
 * RFC 8785 text of an entry as the trail stores it, without chain link and hash.
 *
 * This file alone knows that the trail speaks snake_case. Values that would make the line too long
 * are replaced, largest first, by `{"bytes":…,"sha256":…}` of their JSON text.
 */
export function entryBody(entry: TrailEntry, envelope: Envelope): string {
  const body = bodyOf(entry, envelope);
  const text = needsSorting(entry) ? canonicalJson(shallow(body) as Json) : presortedJson(body);
  const room = LINE_BYTES_MAX - SEALING_BYTES;
  // At most three bytes of UTF-8 for a UTF-16 unit, so that most entries need no counting.
  if (text.length * 3 <= room || Buffer.byteLength(text) <= room) return text;
  return canonicalJson(shrink(shallow(body), room) as Json);
}

/** Objects whose keys others chose come in any order, and put integer-like keys first. */
function needsSorting(entry: TrailEntry): boolean {
  if (entry.type === 'decision') return entry.args !== undefined || hasNumericKey(entry.redactions);
  if (entry.type === 'outcome')
    return entry.result !== undefined || hasNumericKey(entry.redactions);
  return false;
}

const hasNumericKey = (tally: RedactionTally): boolean =>
  Object.keys(tally).some((name) => /^\d/.test(name));

const sortedTally = (tally: RedactionTally): RedactionTally =>
  Object.fromEntries(
    Object.keys(tally)
      .sort()
      .map((name) => [name, tally[name] as number]),
  );

function bodyOf(entry: TrailEntry, envelope: Envelope): Body {
  switch (entry.type) {
    case 'decision':
      return decisionBody(entry, envelope);
    case 'outcome':
      return outcomeBody(entry, envelope);
    case 'segment':
      return segmentBody(entry, envelope);
    case 'egress':
      return {
        bytes_in: entry.bytesIn,
        bytes_out: entry.bytesOut,
        call_id: entry.callId,
        effect: entry.effect,
        entry_id: envelope.entryId,
        host: entry.host,
        port: entry.port,
        reason: entry.reason,
        seq: envelope.seq,
        ts: envelope.ts,
        type: entry.type,
        v: FORMAT_VERSION,
      };
    case 'kill_switch':
      return {
        action: entry.action,
        actor: entry.actor,
        entry_id: envelope.entryId,
        reason: entry.reason,
        seq: envelope.seq,
        ts: envelope.ts,
        type: entry.type,
        v: FORMAT_VERSION,
      };
    case 'retention':
      return {
        entry_id: envelope.entryId,
        first_kept: entry.firstKept,
        retain_ms: entry.retainMs,
        segments: entry.segments.map(({ segment, firstSeq, lastSeq, sha256 }) => ({
          first_seq: firstSeq,
          last_seq: lastSeq,
          segment,
          sha256,
        })),
        seq: envelope.seq,
        ts: envelope.ts,
        type: entry.type,
        v: FORMAT_VERSION,
      };
    case 'recovery':
      return {
        entry_id: envelope.entryId,
        lost_checkpoint: entry.lostCheckpoint,
        seq: envelope.seq,
        torn: tornBody(entry.torn),
        ts: envelope.ts,
        type: entry.type,
        v: FORMAT_VERSION,
      };
    case 'checkpoint_error':
      return {
        entry_id: envelope.entryId,
        message: entry.message,
        seq: envelope.seq,
        stage: entry.stage,
        ts: envelope.ts,
        type: entry.type,
        v: FORMAT_VERSION,
      };
  }
}

function decisionBody(entry: DecisionEntry, envelope: Envelope): Body {
  const { context, decision, target } = entry;
  return {
    args: entry.args,
    args_digest: entry.argsDigest,
    call_id: entry.callId,
    context: dropUndefined({
      agent: context.agent,
      session: context.session,
      tenant: context.tenant,
    }),
    dev_mode: entry.devMode,
    effect: decision.effect,
    entry_id: envelope.entryId,
    policy: dropUndefined({
      digest: decision.policy.digest,
      name: decision.policy.name,
      version: decision.policy.version,
    }),
    reasons: decision.reasons.map(({ code, message, rule }) => ({ code, message, rule })),
    redactions: sortedTally(entry.redactions),
    sent_digest: entry.sentDigest,
    seq: envelope.seq,
    target:
      target === null
        ? null
        : dropUndefined({
            export: target.export,
            kind: target.kind,
            path: target.path,
            sha256: target.sha256,
          }),
    tier_asked: entry.tierAsked,
    tool: entry.tool,
    ts: envelope.ts,
    type: entry.type,
    v: FORMAT_VERSION,
    would_deny: decision.wouldDeny || undefined,
  };
}

function outcomeBody(entry: OutcomeEntry, envelope: Envelope): Body {
  const { exit, isolation, usage } = entry;
  return {
    call_id: entry.callId,
    dev_mode: entry.devMode,
    entry_id: envelope.entryId,
    error_code: entry.errorCode,
    exit: exit === null ? null : { code: exit.code, signal: exit.signal },
    isolation: {
      layers: isolation.layers,
      profile_digest: isolation.profileDigest,
      tier: isolation.tier,
      unenforced: isolation.unenforced,
    },
    limit: entry.limit,
    limits_hit: entry.limitsHit,
    redactions: sortedTally(entry.redactions),
    result: entry.result,
    result_digest: entry.resultDigest,
    seq: envelope.seq,
    status: entry.status,
    ts: envelope.ts,
    type: entry.type,
    usage: {
      cost_usd: usage.costUsd,
      cpu_ms: usage.cpuMs,
      output_bytes: usage.outputBytes,
      peak_memory_bytes: usage.peakMemoryBytes,
      wall_ms: usage.wallMs,
    },
    v: FORMAT_VERSION,
    would_deny: entry.wouldDeny,
  };
}

function segmentBody(entry: SegmentEntry, envelope: Envelope): Body {
  return {
    entry_id: envelope.entryId,
    frontier: entry.frontier,
    key_kept: entry.keyKept,
    origin: entry.origin,
    segment: entry.segment,
    seq: envelope.seq,
    torn: tornBody(entry.torn),
    tree_size: entry.treeSize,
    ts: envelope.ts,
    type: entry.type,
    v: FORMAT_VERSION,
    vkey: entry.vkey,
  };
}

const tornBody = (torn: TornBytes | undefined): Json | undefined =>
  torn && { bytes: torn.bytes, sha256: torn.sha256 };

/** JSON.stringify leaves `undefined` out by itself; the type of a nested object has no place for it. */
function dropUndefined(value: Body): Json {
  return value as Json;
}

/** Values that are nested too deep to be read back are replaced before anything else. */
function shallow(body: Body): Body {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) =>
      depthOf(value, ENTRY_DEPTH_MAX) >= ENTRY_DEPTH_MAX ? [name, summary(value)] : [name, value],
    ),
  );
}

function shrink(body: Body, room: number): Body {
  const shrunk: Record<string, Json | undefined> = { ...body };
  const sizes = Object.entries(body)
    .filter(([name, value]) => value !== undefined && !isCommon(name))
    .map(([name, value]) => ({ name, bytes: Buffer.byteLength(canonicalJson(value)) }))
    .sort((a, b) => b.bytes - a.bytes);
  for (const { name } of sizes) {
    if (Buffer.byteLength(canonicalJson(shrunk as Json)) <= room) break;
    shrunk[name] = summary(body[name]);
  }
  return shrunk;
}

const isCommon = (name: string): boolean => (COMMON_FIELDS as readonly string[]).includes(name);

/** INVARIANT: `depthOf` stopped at the bound, so canonicalJson recursed no deeper than the caller's cap. */
function summary(value: Json | undefined): Json {
  const text = canonicalJson(value);
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { bytes: Buffer.byteLength(text), sha256 };
}
