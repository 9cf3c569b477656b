import { compileGlob } from '../policy/index.ts';
import { foldToolName } from './tool-name.ts';

/** A set of tool names and globs. */
export interface ToolList {
  /** The pattern, as written, that names a tool; null when none does. */
  match(tool: string): string | null;
}

/** Compiles names and globs (`*` stands for any characters, also none); case does not matter. */
export function compileToolList(patterns: readonly string[]): ToolList {
  const names = new Map<string, string>();
  const globs: { readonly pattern: string; readonly matches: (name: string) => boolean }[] = [];
  for (const pattern of patterns) {
    if (pattern.includes('*')) globs.push({ pattern, matches: compileGlob(foldToolName(pattern)) });
    else names.set(foldToolName(pattern), pattern);
  }
  return {
    match(tool) {
      const folded = foldToolName(tool);
      const name = names.get(folded);
      return name ?? globs.find(({ matches }) => matches(folded))?.pattern ?? null;
    },
  };
}
