import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { anchorsOf, pageNames } from './markdown.ts';

interface Link {
  readonly page: string;
  readonly target: string;
}

const links = pageNames().flatMap((page): Link[] => {
  const text = readFileSync(page, 'utf8').replace(/^ *```[\s\S]*?^ *```/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ page, target }));
});
const inner = links.filter(({ target }) => !/^https?:/.test(target));

test('the scan sees the pages', () => {
  expect(inner.length).toBeGreaterThan(40);
});

test.each(inner)('$page links to $target, which is there', ({ page, target }) => {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  expect(existsSync(file)).toBe(true);
  if (anchor !== undefined) expect([...anchorsOf(file)]).toContain(anchor);
});

test('every page of docs is in its index', () => {
  const index = readFileSync('docs/README.md', 'utf8');
  const pages = pageNames().filter((page) => /^docs\/(?!README)/.test(page));
  expect(pages.filter((page) => !index.includes(`](${page.slice('docs/'.length)}`))).toEqual([]);
});

test('every folder of examples is in their index, and has a page', () => {
  const index = readFileSync('examples/README.md', 'utf8');
  const folders = pageNames()
    .map((page) => /^examples\/([^/]+)\/README\.md$/.exec(page)?.[1])
    .filter((folder) => folder !== undefined);
  expect(folders.length).toBeGreaterThan(6);
  expect(folders.filter((folder) => !index.includes(`](${folder}/`))).toEqual([]);
});
