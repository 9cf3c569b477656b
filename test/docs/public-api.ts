// What the package exports, read from the declarations that the compiler wrote. TypeDoc cannot do it:
// it needs the compiler's API of TypeScript 6 and earlier, and this project is built with 7.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One exported name with its declaration, as a caller's compiler sees it. */
export interface Export {
  readonly name: string;
  /** The declaration file, relative to `dist`. */
  readonly file: string;
  /** Text of the docstring, without its frame; empty where there is none. */
  readonly docstring: string;
  /** Without comments: a change of it is a change of the API. */
  readonly signature: string;
  /** With the comments of its members. */
  readonly declaration: string;
}

const INDEX = 'dist/src/index.d.ts';

/** All exports, by name. The package must have been built. */
export function publicApi(): readonly Export[] {
  return exportedNames(INDEX)
    .map(({ name, from }) => findDeclaration(name, from))
    .sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

interface Exported {
  readonly name: string;
  readonly from: string;
}

function exportedNames(file: string): readonly Exported[] {
  const clauses = readFileSync(file, 'utf8').matchAll(
    /export (?:type )?\{([^}]*)\} from '([^']+)'/g,
  );
  return [...clauses].flatMap(([, names = '', from = '']) =>
    names
      .split(',')
      .map((name) => name.replace(/\btype\b/, '').trim())
      .filter((name) => name !== '')
      .map((name) => ({ name, from: declarationFile(file, from) })),
  );
}

function declarationFile(importer: string, specifier: string): string {
  return join(dirname(importer), specifier.replace(/\.(ts|js)$/, '.d.ts'));
}

function findDeclaration(name: string, file: string): Export {
  const further = exportedNames(file).find((exported) => exported.name === name);
  if (further !== undefined) return findDeclaration(name, further.from);
  const items = topLevelItems(readFileSync(file, 'utf8')).filter((item) => nameOf(item) === name);
  if (items.length === 0) throw new Error(`\`${name}\` is not declared in ${file}`);
  // More than one: overloads, or a type and a value of the same name.
  const declaration = items.map((item) => item.replace(DOCSTRING, '')).join('\n');
  return {
    name,
    file: file.slice('dist/'.length),
    docstring: docstringOf(items[0] ?? ''),
    signature: withoutComments(declaration),
    declaration,
  };
}

const DOCSTRING = /^\/\*\*[\s\S]*?\*\/\n/;

/** The compiler indents what is inside a declaration, so a line that starts at the margin starts one. */
function topLevelItems(text: string): readonly string[] {
  const items: string[] = [];
  let isComment = false;
  for (const line of text.split('\n')) {
    const continues = isComment || /^[\s})\]]/.test(line) || line === '';
    const follows = DOCSTRING.test(`${items.at(-1)}\n`) && items.at(-1)?.trimEnd().endsWith('*/');
    if (!continues && !follows) items.push(line);
    else items[items.length - 1] = `${items.at(-1) ?? ''}\n${line}`;
    if (line.startsWith('/**')) isComment = true;
    if (isComment && line.endsWith('*/')) isComment = false;
  }
  return items.map((item) => item.replace(/\n\/\/# sourceMappingURL.*$/, '').trimEnd());
}

function nameOf(item: string): string | undefined {
  const pattern =
    /^export (?:declare )?(?:abstract )?(?:type|interface|class|function|const|namespace) ([\w$]+)/;
  return pattern.exec(item.replace(DOCSTRING, ''))?.[1];
}

function docstringOf(item: string): string {
  const [comment = ''] = DOCSTRING.exec(item) ?? [];
  return comment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim())
    .join('\n')
    .trim();
}

function withoutComments(declaration: string): string {
  return declaration.replace(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, '');
}
