import type { Detector, Finding, Source } from '../finding.ts';
import { LiteralIndex } from '../text/literals.ts';

/** Looks at a text from a place where a word stands. */
export type Visitor = (at: number, word: string) => void;

/** Words that announce a secret, and what to do where one stands. */
export interface Landmark {
  /** Three ASCII characters or more each; in small letters unless `isExact`. */
  readonly words: readonly string[];
  /** Capitals and small letters differ. */
  readonly isExact: boolean;
  /**
   * Starts on a text that has one of the words. The visitor gets the longest word at every place,
   * from left to right; what it recognises it adds to `found`.
   */
  readonly start: (source: Source, found: Finding[]) => Visitor;
}

/** A detector that finds the words of all landmarks in one pass over the text. */
export function landmarkDetector(landmarks: readonly Landmark[]): Detector {
  const index = new LiteralIndex(
    landmarks.flatMap(({ words, isExact }, owner) =>
      words.map((text) => ({ text, isExact, owner })),
    ),
  );
  return (source, found) => {
    const visitors: Visitor[] = [];
    index.forEach(source.text, (at, { text, owner }) => {
      visitors[owner] ??= (landmarks[owner] as Landmark).start(source, found);
      visitors[owner](at, text);
    });
  };
}
