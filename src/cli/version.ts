import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Version of the package, as its package.json says. */
export function packageVersion(): string {
  const path = fileURLToPath(import.meta.resolve('#package.json'));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}
