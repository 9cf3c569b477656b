import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

/** Which part may import which other part. A part may always import itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  call: ['errors'],
  errors: [],
  'make-folder': [],
  settings: ['errors'],
  policy: ['call', 'errors'],
  usage: ['call', 'errors', 'make-folder'],
  gate: ['call', 'errors', 'policy', 'usage'],
  redaction: ['call', 'errors'],
  isolation: ['call', 'errors', 'make-folder', 'worker/protocol'],
  audit: ['call', 'errors', 'make-folder'],
  telemetry: ['call', 'errors'],
  enforce: [
    'call',
    'errors',
    'settings',
    'policy',
    'gate',
    'usage',
    'redaction',
    'isolation',
    'audit',
    'telemetry',
  ],
  index: [
    'enforce',
    'errors',
    'call',
    'policy',
    'gate',
    'usage',
    'redaction',
    'isolation',
    'audit',
    'settings',
  ],
  integrations: ['index'],
  evaluation: ['index'],
  // A command imports the parts that it needs, and not all of the library: it starts sooner.
  cli: [
    'index',
    'evaluation',
    'enforce',
    'errors',
    'call',
    'policy',
    'usage',
    'isolation',
    'audit',
    'settings',
    'make-folder',
  ],
  worker: [],
};

/** Parts that compute and never touch the outside world. */
const PURE = ['call', 'errors', 'gate', 'redaction'];
const PURE_PACKAGES = [
  'node:crypto',
  'node:util',
  'zod',
  're2js',
  'ipaddr.js',
  'tldts',
  'unbash',
  '@marcbachmann/cel-js',
  'libphonenumber-js',
];

/** Not the word `'from'` itself, which is a keyword of SQL too. */
const IMPORT = /(?<!['"])(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;
/** Files of the worker that both sides know. */
const SHARED = ['worker/protocol.ts', 'worker/fetch-protocol.ts', 'worker/fetch-dispatcher.ts'];
const partOf = (file: string) =>
  SHARED.includes(file)
    ? 'worker/protocol'
    : file.startsWith('worker/')
      ? 'worker'
      : (file.split('/')[1] ?? '').replace(/\.ts$/, '');

const sources = ['src', 'worker'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
);
const edges = sources.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((match) => ({
    file,
    target: match[1] ?? '',
  })),
);

test('the scan sees the code base', () => {
  expect(edges.length).toBeGreaterThan(50);
});

test.each(edges.filter(({ target }) => target.startsWith('.')))(
  '$file may import $target',
  ({ file, target }) => {
    const from = partOf(file);
    const to = partOf(normalize(join(dirname(file), target)));
    const self = from.startsWith('worker') ? ['worker', 'worker/protocol'] : [from];
    expect([...self, ...(MAY_IMPORT[from] ?? [])]).toContain(to);
  },
);

test.each(
  edges.filter(({ file, target }) => PURE.includes(partOf(file)) && !target.startsWith('.')),
)('$file is pure: $target', ({ target }) => {
  expect(PURE_PACKAGES).toContain(target);
});

test.each(
  edges.filter(({ file, target }) => file.startsWith('worker/') && !target.startsWith('.')),
)('$file runs without packages: $target', ({ target }) => {
  expect(target).toMatch(/^node:/);
});
