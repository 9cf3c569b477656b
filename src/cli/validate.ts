import { resolve } from 'node:path';
import { loadPolicy, PolicyError } from '../index.ts';
import { oneLine, type Terminal } from './terminal.ts';

const VALID = 0;
const INVALID = 1;
const UNREADABLE = 2;

/** `enforcecore validate`: every problem of a policy, one a line as file:line:column. */
export async function validate(
  policyFile: string,
  { json }: { readonly json?: boolean },
  terminal: Terminal,
): Promise<number> {
  try {
    const policy = await loadPolicy(resolve(terminal.cwd, policyFile));
    const { name, version, digest, files, notes } = policy;
    if (json === true) {
      terminal.out(
        `${JSON.stringify({ ok: true, name, version, digest, files, notes, problems: [] })}\n`,
      );
    } else {
      terminal.out(`valid: policy \`${name}\`, digest ${digest}\n`);
      for (const note of notes) terminal.out(`note: ${oneLine(note)}\n`);
    }
    return VALID;
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    if (json === true) {
      terminal.out(`${JSON.stringify({ ok: false, problems: error.details['problems'] })}\n`);
    } else {
      terminal.err(`${error.message.split('\n').map(oneLine).join('\n')}\n`);
    }
    return error.code === 'ENF_POLICY_READ' ? UNREADABLE : INVALID;
  }
}
