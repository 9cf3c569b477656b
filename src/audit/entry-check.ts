import { isUtf8 } from 'node:buffer';
import { type MemberSpan, scanMembers } from './canonical-scan.ts';
import type { Findings } from './problem.ts';
import { COMMON_FIELDS, ENTRY_FIELDS, FORMAT_VERSION } from './stored-entry.ts';

const ENTRY_ID = /^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/;
const TIMESTAMP = /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$/;

/** What a verifier needs from the body of an entry, without parsing it. */
export interface EntryFacts {
  readonly type: string;
  readonly seq: number;
  /** UTC with milliseconds. */
  readonly ts: string;
  /** Offset of the first digit of the entry id. */
  readonly entryIdStart: number;
}

/** Field names as bytes, in RFC 8785 order, per entry type. */
const FIELD_BYTES: ReadonlyMap<string, readonly Buffer[]> = new Map(
  [...ENTRY_FIELDS].map(([type, names]) => [type, names.map((name) => Buffer.from(name))]),
);
const COMMON_BYTES = COMMON_FIELDS.map((name) => Buffer.from(name));

/**
 * Checks the body of an entry: canonical form, members and their place in the format.
 *
 * @param bytes - UNTRUSTED
 * @param start - of the line
 * @param bodyEnd - behind the last member of the body
 * @returns null when the body cannot be understood; the findings say why
 */
export function checkEntry(
  bytes: Buffer,
  start: number,
  bodyEnd: number,
  findings: Findings,
): EntryFacts | null {
  const members = scanMembers(bytes, start, bodyEnd);
  if (members === null) {
    explainBadBody(bytes, start, bodyEnd, findings);
    return null;
  }
  const common = findCommon(bytes, members);
  if (common === null) {
    findings.problem('missing_field', `an entry has the members ${COMMON_FIELDS.join(', ')}`);
    return null;
  }
  const [entryId, seq, ts, type, version] = common.map((span) =>
    bytes.toString('latin1', span.valueStart, span.valueEnd),
  ) as [string, string, string, string, string];
  if (!ENTRY_ID.test(entryId))
    findings.problem('malformed_entry', '`entry_id` must be a UUID version 4');
  if (!TIMESTAMP.test(ts))
    findings.problem('malformed_entry', '`ts` must be UTC with milliseconds');
  if (version !== String(FORMAT_VERSION))
    findings.problem('malformed_entry', `\`v\` must be ${FORMAT_VERSION}`);
  checkFields(bytes, members, type.slice(1, -1), findings);
  return {
    type: type.slice(1, -1),
    seq: Number(seq),
    ts: ts.slice(1, -1),
    entryIdStart: (common[0] as MemberSpan).valueStart + 1,
  };
}

/** The members that every entry has, in the order of COMMON_FIELDS, which is theirs too. */
function findCommon(bytes: Buffer, members: readonly MemberSpan[]): MemberSpan[] | null {
  const found: MemberSpan[] = [];
  for (const member of members) {
    const name = COMMON_BYTES[found.length];
    if (name !== undefined && isNamed(bytes, member, name)) found.push(member);
  }
  return found.length === COMMON_BYTES.length ? found : null;
}

/** Members and known names are both sorted, so one walk over both finds what is not known. */
function checkFields(
  bytes: Buffer,
  members: readonly MemberSpan[],
  type: string,
  findings: Findings,
): void {
  const names = FIELD_BYTES.get(type);
  if (names === undefined) {
    findings.problem('unknown_type', 'the entry type is not known');
    return;
  }
  let next = 0;
  for (const member of members) {
    const at = names.findIndex((name, index) => index >= next && isNamed(bytes, member, name));
    if (at === -1) findings.problem('unknown_field', `a \`${type}\` entry has no such member`);
    else next = at + 1;
  }
}

function isNamed(bytes: Buffer, { nameStart, nameEnd }: MemberSpan, name: Buffer): boolean {
  if (nameEnd - nameStart !== name.length || bytes[nameStart] !== name[0]) return false;
  return name.compare(bytes, nameStart, nameEnd) === 0;
}

function explainBadBody(bytes: Buffer, start: number, end: number, findings: Findings): void {
  const body = bytes.subarray(start, end);
  if (!isUtf8(body)) findings.problem('invalid_utf8', 'the line is not UTF-8');
  else if (!isJson(`${body.toString()}}`)) findings.problem('invalid_json', 'the line is not JSON');
  else findings.problem('non_canonical', 'the line is not in RFC 8785 form, or nested too deep');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
