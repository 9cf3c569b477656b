// A page that is made from the code: `npm run docs` writes it anew.
import { expect, test } from 'vitest';
import { type Export, publicApi } from './public-api.ts';

test('the API reference is what the declarations say', async () => {
  await expect(renderApi(publicApi())).toMatchFileSnapshot('../../docs/api-reference.md');
});

const GROUPS: readonly (readonly [title: string, file: RegExp])[] = [
  ['Running tools', /^src\/enforce\//],
  ['Calls and outcomes', /^src\/call\./],
  ['Errors', /^src\/errors\./],
  ['Policies', /^src\/policy\//],
  ['Deciding without running', /^src\/gate\//],
  ['Redaction', /^src\/redaction\//],
  ['The audit trail', /^src\/audit\//],
  ['Counters and the kill switch', /^src\/usage\//],
  ['Settings', /^src\/settings\./],
  ['The host', /^src\/isolation\//],
];

function renderApi(exports: readonly Export[]): string {
  const groups = GROUPS.map(([title, file]) => ({
    title,
    own: exports.filter((each) => file.test(each.file)),
  }));
  const unplaced = exports.filter(({ file }) => !GROUPS.some(([, pattern]) => pattern.test(file)));
  expect(unplaced).toEqual([]);
  const contents = groups.map(({ title, own }) => `- ${title}: ${own.map(linkTo).join(', ')}`);
  const sections = groups.map(
    ({ title, own }) => `## ${title}\n\n${own.map(renderExport).join('\n')}`,
  );
  return `# API reference

Made from the docstrings (\`npm run docs\`). Everything that \`enforcecore\` exports is here, and nothing
else is part of the API; what is promised about it: [compatibility](compatibility.md).

${contents.join('\n')}

${sections.join('\n')}`;
}

function linkTo({ name }: Export): string {
  return `[\`${name}\`](#${name.toLowerCase()})`;
}

function renderExport({ name, docstring, declaration }: Export): string {
  const text = docstring === '' ? '' : `${renderDocstring(docstring)}\n\n`;
  return `### ${name}\n\n${text}\`\`\`ts\n${indented(declaration.replace(/^export (declare )?/gm, ''))}\n\`\`\`\n`;
}

/** By two, as everywhere here; the compiler writes four. */
function indented(text: string): string {
  return text.replace(/^(?: {4})+/gm, (blanks) => ' '.repeat(blanks.length / 2));
}

/** Tags become a list; links in braces become code. */
function renderDocstring(text: string): string {
  const [body = '', ...tags] = text.replace(/\{@link ([^}]+)\}/g, '`$1`').split(/^@/m);
  const items = tags.map((tag) => {
    const [, word = '', rest = ''] = /^(\w+)\s*([\s\S]*)$/.exec(tag.trim()) ?? [];
    return `- **${word}** ${rest.replace(/\{(\w+)\}/, '`$1`').replace(/\s*\n\s*/g, ' ')}`;
  });
  return [body.trim(), items.join('\n')].filter((part) => part !== '').join('\n\n');
}
