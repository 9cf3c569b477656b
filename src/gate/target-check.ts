import type { Reason } from '../call.ts';
import type { TargetPin } from '../policy/index.ts';
import type { Check } from './check.ts';

/** Only the pinned code may run under a tool's name. Hard: no `on_violation` softens it. */
export function targetCheck(pin: TargetPin, tool: string): Check {
  const rule = `tools.${tool}.target`;
  const deny = (message: string): Reason[] => [{ rule, code: 'ENF_DENIED_TARGET', message }];
  return {
    rule,
    force: 'hard',
    run({ target }) {
      if (target === null) return deny(`tool \`${tool}\` is pinned and has no target`);
      if (pin.path !== undefined && target.path !== pin.path) {
        return deny(`tool \`${tool}\` is pinned to another path`);
      }
      if (pin.sha256 !== undefined && target.sha256 !== pin.sha256) {
        const found = target.sha256 === undefined ? 'no digest' : `sha256 ${target.sha256}`;
        return deny(`tool \`${tool}\` is pinned to sha256 ${pin.sha256}, the file has ${found}`);
      }
      return [];
    },
  };
}
