import { resolve } from 'node:path';
import type { FilesystemSection, PolicyDocument, ToolSection } from './policy-document.ts';

/** The document with every path absolute: relative ones start at the folder of their own file. */
export function resolvePaths(document: PolicyDocument, folder: string): PolicyDocument {
  return {
    ...document,
    ...resolveFilesystem(document, folder),
    ...(document.tools === undefined ? {} : { tools: mapTools(document.tools, folder) }),
  };
}

function mapTools(
  tools: Readonly<Record<string, ToolSection>>,
  folder: string,
): Record<string, ToolSection> {
  const resolved: Record<string, ToolSection> = Object.create(null);
  for (const [name, tool] of Object.entries(tools)) {
    const path = tool.target?.path;
    const target =
      path === undefined ? {} : { target: { ...tool.target, path: resolve(folder, path) } };
    resolved[name] = { ...tool, ...resolveFilesystem(tool, folder), ...target };
  }
  return resolved;
}

function resolveFilesystem(
  { filesystem }: { readonly filesystem?: FilesystemSection },
  folder: string,
): { filesystem?: FilesystemSection } {
  if (filesystem === undefined) return {};
  const entries = Object.entries(filesystem).map(([key, paths]: [string, readonly string[]]) => [
    key,
    paths.map((path) => resolve(folder, path)),
  ]);
  return { filesystem: Object.fromEntries(entries) };
}
