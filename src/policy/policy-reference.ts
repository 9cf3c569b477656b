import { DEFAULTS } from './default-document.ts';
import { policyJsonSchema } from './policy-json-schema.ts';

/** The parts of a JSON Schema that a reader wants to see. */
interface SchemaView {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaView[];
  readonly items?: SchemaView;
  readonly properties?: Readonly<Record<string, SchemaView>>;
  readonly additionalProperties?: SchemaView | boolean;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** `docs/policy-reference.md`: every key with its values, default and meaning, from the schema. */
export function policyReference(): string {
  const root = policyJsonSchema() as SchemaView;
  const keys = Object.entries(root.properties ?? {});
  const sections = keys.filter(([, view]) => partsOf(view).length > 0);
  return [
    '# Policy reference',
    '',
    'Generated from the schema (`node test/policy/write-reference.js`). Every key is optional except',
    '`name`; unknown keys are errors. A default is what holds where no policy of the chain says',
    'anything: the values of `policies/default.yaml`.',
    '',
    ...table(keys, root, []),
    ...sections.flatMap(([key, view]) => section(key, view)),
  ].join('\n');
}

function section(key: string, view: SchemaView): string[] {
  const parts = partsOf(view);
  return [
    `## \`${key}\``,
    '',
    ...(view.description === undefined ? [] : [view.description, '']),
    ...parts.flatMap(({ title, entries, owner }) => [
      ...(title === '' ? [] : [`${title}:`, '']),
      ...table(entries, owner, title === '' ? [key] : []),
    ]),
  ];
}

interface Part {
  readonly title: string;
  readonly entries: readonly (readonly [string, SchemaView])[];
  readonly owner: SchemaView;
}

/** The maps with fixed keys inside a section: its own, its entries', its alternatives'. */
function partsOf(view: SchemaView): Part[] {
  const own = Object.entries(view.properties ?? {});
  const entry =
    view.items ??
    (typeof view.additionalProperties === 'object' ? view.additionalProperties : undefined);
  return [
    ...(own.length > 0 ? [{ title: '', entries: own, owner: view }] : []),
    ...(entry === undefined
      ? []
      : partsOf(entry).map((part) => ({ ...part, title: 'Each entry' }))),
    ...(view.anyOf ?? []).flatMap((option) => partsOf(option)),
  ];
}

function table(
  entries: readonly (readonly [string, SchemaView])[],
  owner: SchemaView,
  at: readonly string[],
): string[] {
  const rows = entries.map(([key, view]) => {
    const needed = owner.required?.includes(key) === true ? ' (required)' : '';
    const fallback = defaultOf([...at, key]);
    const cells = [`\`${key}\`${needed}`, valuesOf(view), fallback, view.description ?? ''];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| key | values | default | meaning |', '|---|---|---|---|', ...rows, ''];
}

function defaultOf(path: readonly string[]): string {
  let value: unknown = DEFAULTS;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return '';
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return typeof value === 'object' && !Array.isArray(value)
    ? 'see below'
    : `\`${JSON.stringify(value)}\``;
}

function valuesOf(view: SchemaView): string {
  if (view.const !== undefined) return `\`${String(view.const)}\``;
  if (view.enum !== undefined) return view.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (view.anyOf !== undefined) return [...new Set(view.anyOf.map(valuesOf))].join(' or ');
  if (view.type === 'array')
    return `list of ${view.items === undefined ? 'anything' : valuesOf(view.items)}`;
  if (view.type === 'number' || view.type === 'integer') return rangeOf(view);
  if (view.type === 'string') return 'text';
  if (view.type === 'boolean') return '`true`, `false`';
  return view.type === 'object' ? 'map' : 'anything';
}

function rangeOf({ type, minimum, maximum }: SchemaView): string {
  const kind = type === 'integer' ? 'whole number' : 'number';
  return `${kind} ${minimum ?? ''}–${maximum ?? ''}`;
}
