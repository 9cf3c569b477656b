import type { Reason } from '../call.ts';
import type { PolicyDocument } from '../policy/index.ts';
import type { Check } from './check.ts';
import { compileToolList } from './tool-list.ts';

/** The checks of `denied_tools` and `allowed_tools`, settled once per tool. */
export function toolListChecks(document: PolicyDocument): (tool: string) => Check[] {
  const denied = compileToolList(document.denied_tools ?? []);
  const allowed =
    document.allowed_tools === undefined ? null : compileToolList(document.allowed_tools);
  return (tool) => {
    const pattern = denied.match(tool);
    const reasons: Reason[] = [];
    if (pattern !== null) reasons.push(deniedBy(tool, pattern));
    if (allowed !== null && allowed.match(tool) === null) reasons.push(notAllowed(tool));
    return reasons.map((reason) => ({ rule: reason.rule, force: 'soft', run: () => [reason] }));
  };
}

function deniedBy(tool: string, pattern: string): Reason {
  const by = pattern.includes('*') ? ` (by \`${pattern}\`)` : '';
  const message = `tool \`${tool}\` is in \`denied_tools\`${by}`;
  return { rule: 'denied_tools', code: 'ENF_DENIED_TOOL', message };
}

/** The message does not list what is allowed: a caller learns nothing about other tools. */
function notAllowed(tool: string): Reason {
  const message = `tool \`${tool}\` is not in \`allowed_tools\``;
  return { rule: 'allowed_tools', code: 'ENF_DENIED_NOT_ALLOWED', message };
}
