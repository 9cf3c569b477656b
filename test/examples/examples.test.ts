import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describePage } from '../docs/check-page.ts';
import { blocksOf, pageNames } from '../docs/markdown.ts';

const pages = pageNames().filter((page) => /^examples\/[^/]+\/README\.md$/.test(page));

describe('the examples', () => {
  test.each(pages)('%s runs every program beside it, and shows what comes out', (page) => {
    const blocks = blocksOf(page);
    const typed = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
    expect(blocks.filter(({ language }) => language === 'text').length).toBeGreaterThan(0);
    const contentOf = (name: string) => readFileSync(join(dirname(page), name), 'utf8');
    const files = readdirSync(dirname(page)).filter((name) => name !== 'README.md');
    const isUsed = (name: string) =>
      [...typed, ...files.filter((other) => other !== name).map(contentOf)].some((text) =>
        text.includes(name.replace(/\.\w+$/, '')),
      );
    expect(files.filter((name) => !isUsed(name))).toEqual([]);
  });
});

for (const page of pages) describePage(page);
