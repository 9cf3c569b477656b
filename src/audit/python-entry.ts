import { hash } from 'node:crypto';

/** Members of an entry of the Python EnforceCore that are hashed; others are ignored by it. */
const HASHED = [
  'call_duration_ms',
  'call_id',
  'decision',
  'entry_id',
  'input_redactions',
  'output_redactions',
  'overhead_ms',
  'policy_name',
  'policy_version',
  'previous_hash',
  'tenant_id',
  'timestamp',
  'tool_name',
  'violation_reason',
  'violation_type',
] as const;

/** A member of a flat JSON object: its name, and its value as it is written. */
const MEMBER = /\s*"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s",{}[\]]+)\s*(,|\}\s*$)/y;

/** An entry of the Python EnforceCore, with the hashes that its bytes can have. */
export interface PythonLine {
  readonly entryHash: string;
  readonly previousHash: string;
  readonly entryId: string;
  /** True when `entryHash` is the hash of the rest. */
  readonly isIntact: boolean;
  readonly unknown: readonly string[];
}

/**
 * Reads a line that the Python EnforceCore wrote.
 *
 * Its hash is over the entry without `entry_hash`, with sorted keys and no spaces, as `json.dumps`
 * writes it. Numbers are taken as they stand: `0.0` and `0` hash differently there and are the same
 * here. Versions up to 1.5 hash no `tenant_id`.
 *
 * @param text - UNTRUSTED
 * @returns null when it is no flat JSON object with these hashes
 */
export function parsePythonLine(text: string): PythonLine | null {
  const members = readMembers(text);
  const entryHash = readString(members?.get('entry_hash'));
  const previousHash = readString(members?.get('previous_hash'));
  const entryId = readString(members?.get('entry_id'));
  if (!members || entryHash === null || previousHash === null || entryId === null) return null;
  members.delete('entry_hash');
  const unknown = [...members.keys()].filter(
    (name) => !(HASHED as readonly string[]).includes(name),
  );
  const isIntact = variants(members).some((content) => hash('sha256', content) === entryHash);
  return { entryHash, previousHash, entryId, isIntact, unknown };
}

/** As written, and as a version after 1.5 hashes an entry that lacks `tenant_id`. */
function variants(members: ReadonlyMap<string, string>): string[] {
  const withTenant = new Map([['tenant_id', 'null'], ...members]);
  return [canonical(members), canonical(withTenant)];
}

function canonical(members: ReadonlyMap<string, string>): string {
  const known = HASHED.filter((name) => members.has(name));
  return `{${known.map((name) => `"${name}":${members.get(name)}`).join()}}`;
}

function readMembers(text: string): Map<string, string> | null {
  if (!isJsonObject(text)) return null;
  const members = new Map<string, string>();
  MEMBER.lastIndex = text.indexOf('{') + 1;
  for (let match = MEMBER.exec(text); match !== null; match = MEMBER.exec(text)) {
    const [, name = '', value = '', end = ''] = match;
    if (members.has(name)) return null;
    members.set(name, value);
    if (end !== ',') return members;
  }
  return null;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** A hash or an id is plain ASCII; Python escapes everything else. */
function readString(value: string | undefined): string | null {
  return value?.startsWith('"') && !value.includes('\\') ? value.slice(1, -1) : null;
}
