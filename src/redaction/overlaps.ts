import type { Finding } from './finding.ts';

/**
 * Settles overlaps: the longest match wins, then the earlier one, then the category that comes
 * first in `order`. What a loser covered beyond its winner is added to the winner, so that no
 * part of anything that was recognised stays in the text.
 *
 * @param found - matches in any order
 * @param order - categories, most important first
 * @returns disjoint findings in order of position
 */
export function settleOverlaps(found: readonly Finding[], order: readonly string[]): Finding[] {
  if (found.length < 2) return [...found];
  const byStart = [...found].sort((a, b) => a.start - b.start);
  const settled: Finding[] = [];
  for (let from = 0; from < byStart.length; ) {
    const to = clusterEnd(byStart, from);
    const cluster = byStart.slice(from, to);
    if (cluster.length === 1) settled.push(...cluster);
    else settled.push(...settleCluster(cluster, order));
    from = to;
  }
  return settled;
}

/** Index after the last finding that is connected to `byStart[from]` by overlaps. */
function clusterEnd(byStart: readonly Finding[], from: number): number {
  let reach = 0;
  let to = from;
  for (let next = byStart[to]; next && (to === from || next.start < reach); next = byStart[to]) {
    reach = Math.max(reach, next.end);
    to += 1;
  }
  return to;
}

function settleCluster(cluster: readonly Finding[], order: readonly string[]): Finding[] {
  const origin = cluster[0]?.start ?? 0;
  const covered = new Uint8Array(Math.max(...bounds(cluster)) - origin);
  const winners: Finding[] = [];
  const losers: Finding[] = [];
  for (const finding of [...cluster].sort(byRank(order))) {
    // Longer ones come first, so whatever overlaps this one covers its first or last character.
    const taken = covered[finding.start - origin] || covered[finding.end - 1 - origin];
    if (taken) losers.push(finding);
    else {
      covered.fill(1, finding.start - origin, finding.end - origin);
      winners.push(finding);
    }
  }
  winners.sort((a, b) => a.start - b.start);
  return absorb(winners, losers);
}

function* bounds(cluster: readonly Finding[]): Generator<number> {
  for (const finding of cluster) yield finding.end;
}

function byRank(order: readonly string[]): (a: Finding, b: Finding) => number {
  return (a, b) =>
    b.end - b.start - (a.end - a.start) ||
    a.start - b.start ||
    order.indexOf(a.category) - order.indexOf(b.category);
}

/** Stretches winners over what their losers covered, never into the next winner. */
function absorb(winners: readonly Finding[], losers: readonly Finding[]): Finding[] {
  const grown = winners.map((winner) => ({ ...winner }));
  for (const loser of losers) {
    const index = firstEndingAfter(grown, loser.start);
    const first = grown[index];
    if (first === undefined) continue;
    first.start = Math.min(first.start, Math.max(loser.start, grown[index - 1]?.end ?? 0));
    for (let at = index; at < grown.length && (grown[at]?.start ?? 0) < loser.end; at += 1) {
      const winner = grown[at] as (typeof grown)[number];
      const limit = grown[at + 1]?.start ?? loser.end;
      winner.end = Math.max(winner.end, Math.min(loser.end, limit));
    }
  }
  return grown;
}

function firstEndingAfter(findings: readonly Finding[], position: number): number {
  let low = 0;
  let high = findings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((findings[middle]?.end ?? 0) > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
