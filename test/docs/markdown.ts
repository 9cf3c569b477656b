import { readdirSync, readFileSync } from 'node:fs';

/** One fenced block of a page, with what the page says about it in comments that readers do not see. */
export interface Block {
  readonly page: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Name of the file that a reader is to make of it: its first line is a comment that names one. */
  readonly file: string | null;
  /** Why nothing checks the block. */
  readonly untested: string | null;
  /** A layer without which the block cannot be run. */
  readonly needs: string | null;
  /** Declarations that a TypeScript block takes for granted. */
  readonly given: string;
  /** A TypeScript block that is run as well as checked. */
  readonly isRun: boolean;
}

const FENCE = /^( *)```(\S*)\s*$/;
const MARKER = /^<!-- (untested|needs|given|run)(?:: (.*?))? -->$/;
const FILE_LINE = /^(?:#|\/\/) ([\w-][\w./-]*\.\w+)$/;

/** Every page a reader may open, relative to the repository. */
export function pageNames(): readonly string[] {
  const inFolder = (folder: string): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .sort()
      .map((name) => `${folder}/${name}`);
  return [
    'README.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    ...inFolder('docs'),
    ...inFolder('examples'),
  ];
}

/** The blocks of one page, in order. */
export function blocksOf(page: string): readonly Block[] {
  const lines = readFileSync(page, 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const fence = FENCE.exec(lines[at] ?? '');
    if (fence === null) continue;
    const [, indent = '', language = ''] = fence;
    const end = lines.findIndex((line, index) => index > at && line === `${indent}\`\`\``);
    if (end < 0) throw new Error(`${page}:${at + 1}: a block without an end`);
    const text = lines
      .slice(at + 1, end)
      .map((line) => line.slice(indent.length))
      .join('\n');
    blocks.push({
      page,
      line: at + 1,
      language,
      text,
      ...markersBefore(lines, at),
      ...fileOf(text),
    });
    at = end;
  }
  return blocks;
}

function fileOf(text: string): Pick<Block, 'file'> {
  return { file: FILE_LINE.exec(text.split('\n')[0] ?? '')?.[1] ?? null };
}

function markersBefore(
  lines: readonly string[],
  fence: number,
): Omit<Block, 'page' | 'line' | 'language' | 'text' | 'file'> {
  const found = new Map<string, string>();
  for (let at = fence - 1; at >= 0; at -= 1) {
    const line = (lines[at] ?? '').trim();
    const marker = MARKER.exec(line);
    if (marker !== null)
      found.set(marker[1] ?? '', `${marker[2] ?? ''}\n${found.get(marker[1] ?? '') ?? ''}`.trim());
    else if (line !== '') break;
  }
  return {
    untested: found.get('untested') ?? null,
    needs: found.get('needs') ?? null,
    given: found.get('given') ?? '',
    isRun: found.has('run'),
  };
}

/** What GitHub makes of a heading when it is linked to. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(page, 'utf8').replace(/^ *```[\s\S]*?^ *```/gm, '');
  const headings = [...text.matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}
