import { RE2Set } from 're2js';
import { compileLinearPattern, type LinearPattern } from './linear-pattern.ts';

/** Many patterns that are asked together. */
export interface PatternSet {
  /**
   * Indexes of the patterns that occur in a text, ascending.
   *
   * @param budget - what the whole check may still cost; lowered by what this text costs
   * @throws {RangeError} when the text is too long, or the budget is used up
   */
  match(text: string, budget: WorkBudget): readonly number[];
}

/** Work that a check may still do, in about nanoseconds. */
export interface WorkBudget {
  left: number;
}

/** What one check over all texts of a call may cost: 50 ms. */
export const CHECK_WORK_MAX = 50_000_000;

/** Measured with 1,000 patterns: 8 ns a character; one pattern costs as much. */
const SET_WEIGHT = 10;

/**
 * Compiles patterns. Those that look at a bounded piece of text become one automaton, so that a
 * thousand of them cost as much as one. Patterns such as `a.*b` would multiply its states (1,000 of
 * them: 29 s for 131,072 characters), so each of those is asked alone, which is fast where the
 * words it needs do not occur.
 */
export function compilePatternSet(patterns: readonly string[]): PatternSet {
  const local = new Map<number, number>();
  const alone: { readonly index: number; readonly pattern: LinearPattern }[] = [];
  const set = new RE2Set();
  for (const [index, source] of patterns.entries()) {
    const pattern = compileLinearPattern(source);
    if (isLocal(source)) local.set(set.add(source), index);
    else alone.push({ index, pattern });
  }
  if (local.size > 0) set.compile();
  const aloneWeight = alone.reduce((sum, { pattern }) => sum + pattern.weight, 0);
  const weight = aloneWeight + (local.size > 0 ? SET_WEIGHT : 0);

  return {
    match(text, budget) {
      budget.left -= text.length * weight;
      if (budget.left < 0) throw new RangeError('the texts are too long for the patterns');
      const inSet = local.size > 0 ? set.match(text) : [];
      const found = inSet.flatMap((id) => local.get(id) ?? []);
      for (const { index, pattern } of alone) if (pattern.test(text)) found.push(index);
      return found.sort((a, b) => a - b);
    },
  };
}

/** Repeats nothing without end, white space apart, and few sets of characters. */
function isLocal(source: string): boolean {
  const plain = source.replace(/\\s[+*]|\\[\\+*{.?]/g, '');
  const sets = plain.match(/\\[dDwWpP]|\[|(?<!\\)\./g)?.length ?? 0;
  return !/[*+]|\{[0-9]*,\}|\{[0-9]{2,}|\{[5-9]/.test(plain) && sets <= 4;
}
