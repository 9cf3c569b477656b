/** One part of what a call would run under, for people. */
export interface ExplanationSection {
  readonly title: string;
  readonly lines: readonly string[];
}
