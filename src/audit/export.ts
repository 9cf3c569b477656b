import { AuditError } from '../errors.ts';
import { type ExportedEntry, exportedEntrySchema } from './entry-schema.ts';
import { readTrail } from './read.ts';

const SCHEMA = 'enforcecore.audit-entry.v1';

/** Which entries are exported. */
export interface ExportOptions {
  /** Entries with a smaller sequence number, 0-based, are left out. */
  readonly fromSeq?: number;
  /** Entry types to export; default all. */
  readonly types?: readonly string[];
  /** Who wrote the trail. */
  readonly format?: 'enforcecore' | 'enforcecore-py';
}

/**
 * Yields the entries of a trail in a stable form, oldest first; it verifies nothing.
 *
 * @throws {AuditError} `ENF_AUDIT_READ` when the trail cannot be read, or at an entry that does not
 *   have the form of {@link exportedEntryJsonSchema}
 */
export async function* exportTrail(
  path: string,
  { fromSeq = 0, types, format = 'enforcecore' }: ExportOptions = {},
): AsyncGenerator<ExportedEntry> {
  const entries =
    format === 'enforcecore' ? ownEntries(path, fromSeq) : pythonEntries(path, fromSeq);
  for await (const entry of entries) {
    if (types !== undefined && !types.includes(entry.type)) continue;
    yield checkForm(entry);
  }
}

async function* ownEntries(path: string, fromSeq: number): AsyncGenerator<ExportedEntry> {
  for await (const { v: _, ...entry } of readTrail(path, { fromSeq })) {
    yield { schema: SCHEMA, ...entry };
  }
}

async function* pythonEntries(path: string, fromSeq: number): AsyncGenerator<ExportedEntry> {
  let seq = fromSeq;
  for await (const entry of readTrail(path, { fromSeq, format: 'enforcecore-py' })) {
    yield { schema: SCHEMA, type: 'enforcecore_py', seq, entry };
    seq += 1;
  }
}

function checkForm(entry: ExportedEntry): ExportedEntry {
  const parsed = exportedEntrySchema.safeParse(entry);
  if (parsed.success) return parsed.data;
  const fields = [...new Set(parsed.error.issues.map(({ path }) => path.join('.')))];
  throw new AuditError('ENF_AUDIT_READ', `entry ${entry.seq} does not have the form of an entry`, {
    details: { fields },
  });
}
