import { AuditError } from '../errors.ts';
import { type ExportedEntry, exportedEntrySchema } from './entry-schema.ts';
import { parseEntry, readTrailLines, type StoredEntry } from './read.ts';
import type { LineBatch, TrailFormat } from './trail-reader.ts';

const SCHEMA = 'enforcecore.audit-entry.v1';

/** Which entries are exported. */
export interface ExportOptions {
  /** Entries with a smaller sequence number, 0-based, are left out. */
  readonly fromSeq?: number;
  /** Entry types to export; default all. */
  readonly types?: readonly string[];
  /** Who wrote the trail. */
  readonly format?: TrailFormat;
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
  let place = 0;
  for await (const { line, segment } of readTrailLines(path, format)) {
    if (!line.isWhole) continue;
    const entry = toExported(line, segment, { format, place });
    place += 1;
    if (entry.seq < fromSeq || types?.includes(entry.type) === false) continue;
    yield checkForm(entry);
  }
}

/**
 * The entry in a line, in the form it is exported in; {@link checkForm} says whether it really is.
 *
 * @param facts.place - lines before it; trails of the Python EnforceCore have no sequence numbers
 * @throws {AuditError} `ENF_AUDIT_READ` for a line that is no JSON object
 */
export function toExported(
  line: LineBatch['lines'][number],
  segment: LineBatch['segment'],
  { format, place }: { readonly format: TrailFormat; readonly place: number },
): ExportedEntry {
  const entry = parseEntry(line, segment);
  if (format === 'enforcecore-py') {
    return { schema: SCHEMA, type: 'enforcecore_py', seq: place, entry };
  }
  const { v: _, ...members } = entry as StoredEntry;
  return { schema: SCHEMA, ...members };
}

/** @throws {AuditError} `ENF_AUDIT_READ` naming the fields that are not of the published form */
export function checkForm(entry: ExportedEntry): ExportedEntry {
  const parsed = exportedEntrySchema.safeParse(entry);
  if (parsed.success) return parsed.data;
  const fields = [...new Set(parsed.error.issues.map(({ path }) => path.join('.')))];
  throw new AuditError('ENF_AUDIT_READ', `entry ${entry.seq} does not have the form of an entry`, {
    details: { fields },
  });
}
