import { foldToolName } from './tool-name.ts';

/** Entries of a policy by tool, found in one step whatever their number and their case. */
export type ToolTable<T> = (tool: string) => T | undefined;

/** Indexes a map of the policy by folded tool name. */
export function toolTable<T>(map: Readonly<Record<string, T>> = {}): ToolTable<T> {
  const entries = new Map(Object.entries(map).map(([name, value]) => [foldToolName(name), value]));
  return (tool) => entries.get(foldToolName(tool));
}
