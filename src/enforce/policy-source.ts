import { AuditError, PolicyError } from '../errors.ts';
import { isWithin, loadPolicy, type Policy, shippedDefault } from '../policy/index.ts';

/**
 * A policy from any of the forms in which a program may give one, over the operator's floor, also
 * when it was loaded without it.
 */
export async function policyFrom(
  source: string | object | undefined,
  basePolicy: string | null,
): Promise<Policy> {
  const options = basePolicy === null ? {} : { base: basePolicy };
  if (source === undefined) return loadPolicy(shippedDefault(), options);
  if (!isPolicy(source)) return loadPolicy(source, options);
  return basePolicy === null ? source : loadPolicy(source.document, options);
}

function isPolicy(source: string | object): source is Policy {
  return typeof source === 'object' && 'document' in source && 'digest' in source;
}

/**
 * Holds a policy to be used while audit is off.
 *
 * @throws {AuditError} `ENF_AUDIT_REQUIRED` when the policy requires a trail
 */
export function requireNoTrail({ name, document }: Policy): void {
  if (document.audit?.required !== true) return;
  const message = `policy \`${name}\` requires an audit trail, but audit is switched off`;
  throw new AuditError('ENF_AUDIT_REQUIRED', message);
}

/**
 * Holds the write paths of a policy apart from what must not be rewritten: trail, key, state.
 *
 * @throws {PolicyError} `ENF_POLICY_INVALID` when one contains, or lies in, a protected path
 */
export function refuseOverlap(policy: Policy, protectedPaths: readonly string[]): void {
  const { filesystem, tools = {} } = policy.document;
  const sections = [filesystem, ...Object.values(tools).map((own) => own.filesystem)];
  const written = sections.flatMap((section) => section?.write ?? []);
  for (const path of written) {
    const clash = protectedPaths.find((held) => isWithin(path, held) || isWithin(held, path));
    if (clash === undefined) continue;
    const message = `policy \`${policy.name}\`: \`filesystem.write\` names \`${path}\`, which overlaps \`${clash}\`; tools must not write to the trail, its key, policies or the state folder`;
    throw new PolicyError('ENF_POLICY_INVALID', message, { details: { path, clash } });
  }
}
