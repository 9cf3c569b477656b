import type { Finding, Source } from './finding.ts';
import type { Scanner } from './scanner.ts';
import { type View, ViewBuilder } from './text/view.ts';

/** Each round removes something, so that few texts need a second one. */
const ROUNDS_MAX = 8;

/**
 * A scanner for the `remove` strategy. Removing a match joins what stood on its two sides, and
 * that may read as a match again: `4111 1111 ann@example.com1111 1111`. Such a match is found here
 * at once; it spans what is removed within it.
 *
 * @param isRemoved - tells the categories with that strategy
 */
export function scanThroughRemovals(
  scan: Scanner,
  isRemoved: (category: string) => boolean,
): Scanner {
  return (source) => {
    let findings = scan(source);
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (!findings.some(({ category }) => isRemoved(category))) break;
      const left = textLeft(source, findings, isRemoved);
      const joined = scan({ ...source, text: left.text }).map((finding) => spanOf(finding, left));
      if (joined.length === 0) break;
      findings = merge(findings, joined);
    }
    return findings;
  };
}

/** What is left of a text, and which part of it each unit comes from. */
function textLeft(
  { text }: Source,
  findings: readonly Finding[],
  isRemoved: (category: string) => boolean,
): View {
  const builder = new ViewBuilder(text.length);
  let from = 0;
  for (const { category, start, end } of findings) {
    builder.copy(text, from, start);
    // What is replaced by something keeps its sides apart.
    if (!isRemoved(category)) builder.unit(0, start, end);
    from = end;
  }
  builder.copy(text, from, text.length);
  return builder.build(null);
}

function spanOf({ category, start, end }: Finding, left: View): Finding {
  return { category, start: left.starts[start] as number, end: left.ends[end - 1] as number };
}

/** A finding that spans others takes them in. Both lists are disjoint and in order. */
function merge(findings: readonly Finding[], joined: readonly Finding[]): Finding[] {
  let next = 0;
  const kept = findings.filter(({ start }) => {
    while ((joined[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
    return (joined[next]?.start ?? Number.POSITIVE_INFINITY) > start;
  });
  return [...kept, ...joined].sort((a, b) => a.start - b.start);
}
