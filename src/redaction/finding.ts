/** A match in a text: `text.slice(start, end)` in UTF-16 units is what was recognised. */
export interface Finding {
  readonly category: string;
  readonly start: number;
  readonly end: number;
}

/**
 * A text to search, and what is known about the place it stands in.
 */
export interface Source {
  readonly text: string;
  /** Words of the key or argument that holds the text, in lower case: `billing phone`. */
  readonly hint: string;
}

/** Adds what it recognises in a source to `found`, in any order, overlaps allowed. */
export type Detector = (source: Source, found: Finding[]) => void;
