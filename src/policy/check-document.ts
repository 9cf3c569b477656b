import { TIERS } from '../call.ts';
import { PII_CATEGORY_NAMES, SECRET_CATEGORY_NAMES } from './category-names.ts';
import type { PolicyDocument, ToolSections } from './policy-document.ts';
import type { ProblemCode } from './problem.ts';
import { isWithin, sectionWidenings } from './widenings.ts';

/** A problem between keys that are each valid alone. */
export interface Conflict {
  readonly path: readonly PropertyKey[];
  readonly code: ProblemCode;
  readonly message: string;
}

/**
 * What is wrong with a merged policy although every key of it is valid.
 *
 * @param files - absolute paths of the policy's own files: a tool must not be able to write them
 */
export function conflictsOf(document: PolicyDocument, files: readonly string[]): Conflict[] {
  const tools = Object.entries(document.tools ?? {});
  return [
    ...sectionConflicts(document, [], files),
    ...tools.flatMap(([name, tool]) => sectionConflicts(tool, ['tools', name], files)),
    ...tools.flatMap(([name, tool]) =>
      sectionWidenings(document, tool).map(({ path, message }) => ({
        path: ['tools', name, ...path],
        code: 'widens' as const,
        message: `\`tools.${name}.${path.join('.')}\` may only narrow \`${path.join('.')}\`: ${message}`,
      })),
    ),
    ...grantsBelowWrites(document),
    ...foldedNames(['tools'], document.tools),
    ...foldedNames(['rate_limits'], document.rate_limits),
    ...foldedNames(['cost'], document.cost),
    ...rateNames(document),
  ];
}

/** What a reader of a valid policy should still know. */
export function notesOf(document: PolicyDocument): string[] {
  const notes: string[] = [];
  if (document.cost !== undefined && document.resource_limits?.max_cost_usd === undefined) {
    notes.push(
      '`cost` is recorded with each call; without `resource_limits.max_cost_usd` it limits nothing',
    );
  }
  for (const [name, { input_schema }] of Object.entries(document.tools ?? {})) {
    if (input_schema !== undefined && JSON.stringify(input_schema).includes('"format":')) {
      notes.push(`\`tools.${name}.input_schema\`: \`format\` is an annotation and is not checked`);
    }
  }
  return notes;
}

function sectionConflicts(
  sections: ToolSections,
  at: readonly PropertyKey[],
  files: readonly string[],
): Conflict[] {
  return [
    ...environmentConflicts(sections, at),
    ...filesystemConflicts(sections, at, files),
    ...isolationConflicts(sections, at),
    ...repeatedNames([...at, 'custom_patterns'], sections.custom_patterns),
    ...repeatedNames(
      [...at, 'content_rules', 'block_patterns'],
      sections.content_rules?.block_patterns,
    ),
    ...repeatedNames(
      [...at, 'output_rules', 'block_patterns'],
      sections.output_rules?.block_patterns,
    ),
    ...takenNames([...at, 'custom_patterns'], sections.custom_patterns),
  ];
}

function environmentConflicts(
  { environment }: ToolSections,
  at: readonly PropertyKey[],
): Conflict[] {
  const set = environment?.set ?? {};
  const both = (environment?.pass ?? []).filter((name) => Object.hasOwn(set, name));
  return both.map((name) =>
    conflict([...at, 'environment', 'set', name], `\`${name}\` is in \`pass\` and in \`set\``),
  );
}

/**
 * What one tool may write, it may swap for a link to anything: no other tool may be granted a path
 * below it. The same folder may be granted to both.
 */
function grantsBelowWrites(document: PolicyDocument): Conflict[] {
  const tools = Object.entries(document.tools ?? {});
  const sections = [
    { at: [] as readonly PropertyKey[], filesystem: document.filesystem },
    ...tools.map(([name, { filesystem }]) => ({ at: ['tools', name], filesystem })),
  ];
  const writes = sections.flatMap(({ filesystem }) => filesystem?.write ?? []);
  return sections.flatMap(({ at, filesystem }) =>
    (['read', 'write', 'execute'] as const).flatMap((kind) =>
      (filesystem?.[kind] ?? []).flatMap((path, index) => {
        const outer = writes.find((each) => each !== path && isWithin(each, path));
        // Within one section it is a matter of that tool alone, and told apart above.
        const isOwn = filesystem?.write?.includes(outer ?? '') ?? false;
        if (outer === undefined || isOwn) return [];
        const message = `\`${path}\` lies in \`${outer}\`, which another tool may write: grant both the same folder, or move it`;
        return [conflict([...at, 'filesystem', kind, index], message)];
      }),
    ),
  );
}

function filesystemConflicts(
  { filesystem }: ToolSections,
  at: readonly PropertyKey[],
  files: readonly string[],
): Conflict[] {
  const [reads, writes] = [filesystem?.read ?? [], filesystem?.write ?? []];
  const readProblems = reads.flatMap((path, index) => {
    const outer = writes.find((each) => isWithin(each, path));
    const message = `\`${path}\` is read-only and lies in \`${outer}\`, which the tool may write`;
    return outer === undefined ? [] : [conflict([...at, 'filesystem', 'read', index], message)];
  });
  const writeProblems = writes.flatMap((path, index) => {
    const own = files.find((file) => isWithin(path, file) || isWithin(file, path));
    const message = `\`${path}\` would let the tool write its own policy \`${own}\``;
    return own === undefined ? [] : [conflict([...at, 'filesystem', 'write', index], message)];
  });
  return [...readProblems, ...writeProblems];
}

function isolationConflicts({ isolation }: ToolSections, at: readonly PropertyKey[]): Conflict[] {
  const { level, min } = isolation ?? {};
  if (level === undefined || level === 'auto' || min === undefined) return [];
  if (TIERS.indexOf(level) >= TIERS.indexOf(min)) return [];
  const message = `\`level: ${level}\` is below \`min: ${min}\`, so nothing could run`;
  return [conflict([...at, 'isolation', 'level'], message)];
}

function repeatedNames(
  at: readonly PropertyKey[],
  entries: readonly { readonly name: string; readonly pattern: string }[] = [],
): Conflict[] {
  const seen = new Map<string, string>();
  return entries.flatMap(({ name, pattern }, index) => {
    const other = seen.get(name);
    seen.set(name, pattern);
    if (other === undefined) return [];
    return [conflict([...at, index, 'name'], `\`${name}\` names two patterns`)];
  });
}

function takenNames(
  at: readonly PropertyKey[],
  entries: readonly { readonly name: string }[] = [],
): Conflict[] {
  const taken: readonly string[] = [...PII_CATEGORY_NAMES, ...SECRET_CATEGORY_NAMES];
  return entries.flatMap(({ name }, index) =>
    taken.includes(name)
      ? [conflict([...at, index, 'name'], `\`${name}\` is a category of its own`)]
      : [],
  );
}

/** Names are compared without case, so two that differ only in case would be one. */
function foldedNames(at: readonly PropertyKey[], map: object = {}): Conflict[] {
  const seen = new Map<string, string>();
  return Object.keys(map).flatMap((name) => {
    const other = seen.get(name.toLowerCase());
    seen.set(name.toLowerCase(), name);
    if (other === undefined) return [];
    return [conflict([...at, name], `\`${name}\` and \`${other}\` are the same tool`)];
  });
}

function rateNames({ rate_limits = {} }: PolicyDocument): Conflict[] {
  return Object.keys(rate_limits)
    .filter((name) => !/^[A-Za-z0-9_.:<>/-]{1,256}$/.test(name))
    .map((name) => ({
      path: ['rate_limits', name],
      code: 'invalid-value',
      message: `\`${name.slice(0, 64)}\` must be a tool name or \`global\``,
    }));
}

function conflict(path: readonly PropertyKey[], message: string): Conflict {
  return { path, code: 'conflict', message };
}
