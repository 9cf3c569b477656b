import { policyJsonSchema } from '../policy/index.ts';
import { EXIT } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** `enforcecore schema`: the JSON Schema of a policy, for editors. */
export function schema({ out }: Terminal): number {
  out(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
  return EXIT.ok;
}
