// Profiles in the format of the OCI runtime specification and of Docker, so that a profile that a
// team already has can be used as it is. @see opencontainers/runtime-spec config-linux.md, "Seccomp"

import { z } from 'zod';
import { PolicyError } from '../errors.ts';
import {
  ALL_BITS,
  type ArgumentTest,
  type SeccompAction,
  type SeccompClause,
  sameAction,
} from './seccomp-filter.ts';
import { type Architecture, isSyscallName, syscallsOf } from './seccomp-syscalls.ts';

const EPERM = 1;
const ERRNO_MAX = 4095;
const SYSCALL_RULES_MAX = 4096;
const NAMES_MAX = 1024;

/** SCMP_ACT_TRACE and SCMP_ACT_NOTIFY are refused: nobody would answer. */
const ACTIONS = {
  SCMP_ACT_ALLOW: 'allow',
  SCMP_ACT_ERRNO: 'errno',
  SCMP_ACT_LOG: 'log',
  SCMP_ACT_TRAP: 'trap',
  SCMP_ACT_KILL: 'kill-thread',
  SCMP_ACT_KILL_THREAD: 'kill-thread',
  SCMP_ACT_KILL_PROCESS: 'kill-process',
} as const;
const OPERATORS = {
  SCMP_CMP_EQ: 'eq',
  SCMP_CMP_NE: 'ne',
  SCMP_CMP_LT: 'lt',
  SCMP_CMP_LE: 'le',
  SCMP_CMP_GT: 'gt',
  SCMP_CMP_GE: 'ge',
  SCMP_CMP_MASKED_EQ: 'eq',
} as const;
/** What each architecture is called by libseccomp and by Docker. */
const ARCHITECTURE_NAMES = {
  x64: { oci: 'SCMP_ARCH_X86_64', docker: 'amd64' },
  arm64: { oci: 'SCMP_ARCH_AARCH64', docker: 'arm64' },
} as const;

const actionName = z.literal(Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]);
const errno = z.int().min(0).max(ERRNO_MAX);
/** JSON numbers beyond 2^53 are not exact, so a 64-bit value may be given as a decimal string. */
const word = z
  .union([z.int().min(0), z.string().regex(/^[0-9]{1,20}$/)])
  .transform((value) => BigInt(value))
  .refine((value) => value <= ALL_BITS, 'must fit 64 bits');
const condition = z.strictObject({
  caps: z.array(z.string()).optional(),
  arches: z.array(z.string()).optional(),
  minKernel: z
    .string()
    .regex(/^[0-9]{1,3}\.[0-9]{1,3}$/)
    .optional(),
});
const profileSchema = z.strictObject({
  description: z.string().optional(),
  defaultAction: actionName,
  defaultErrnoRet: errno.optional(),
  architectures: z.array(z.string()).optional(),
  archMap: z.array(z.looseObject({ architecture: z.string() })).optional(),
  syscalls: z
    .array(
      z.strictObject({
        names: z.array(z.string()).min(1).max(NAMES_MAX),
        action: actionName,
        errnoRet: errno.optional(),
        args: z
          .array(
            z.strictObject({
              index: z.int().min(0).max(5),
              value: word,
              valueTwo: word.optional(),
              op: z.literal(Object.keys(OPERATORS) as (keyof typeof OPERATORS)[]),
            }),
          )
          .max(6)
          // runc takes these as alternatives, libseccomp refuses them: better to say which is meant.
          .refine((args) => new Set(args.map(({ index }) => index)).size === args.length, {
            message: 'must test each argument once; write alternatives as rules of their own',
          })
          .nullish(),
        comment: z.string().optional(),
        includes: condition.optional(),
        excludes: condition.optional(),
      }),
    )
    .max(SYSCALL_RULES_MAX)
    .default([]),
});
type ProfileRule = z.infer<typeof profileSchema>['syscalls'][number];

/** One rule of a profile, with its names still by name. */
interface SeccompProfileRule {
  readonly names: readonly string[];
  readonly clause: SeccompClause;
  readonly includes: ProfileCondition;
  readonly excludes: ProfileCondition;
}

/** When a Docker rule applies. A tool has no capabilities, so `caps` is never met. */
interface ProfileCondition {
  readonly caps?: readonly string[] | undefined;
  readonly arches?: readonly string[] | undefined;
  readonly minKernel?: string | undefined;
}

/** A profile that was read and checked. */
export interface SeccompProfile {
  readonly description: string;
  readonly defaultAction: SeccompAction;
  /** The architectures it was written for, by OCI name; null when it does not say. */
  readonly architectures: readonly string[] | null;
  readonly rules: readonly SeccompProfileRule[];
  /** Things in it that do nothing here, for people. */
  readonly warnings: readonly string[];
}

/**
 * Reads an OCI or Docker seccomp profile.
 *
 * A name that neither x86-64 nor arm64 has is a warning where it would be allowed and an error where
 * it would be denied: a typing error must not open what the author meant to close.
 *
 * @param json - the parsed JSON
 * @throws {PolicyError} `ENF_POLICY_INVALID`, with every problem in `details.problems`
 */
export function parseSeccompProfile(json: unknown): SeccompProfile {
  const parsed = profileSchema.safeParse(json);
  if (!parsed.success) {
    throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`));
  }
  const { data } = parsed;
  const unknown = data.syscalls.flatMap(({ names, action }, index) =>
    names
      .filter((name) => !isSyscallName(name))
      .map((name) => ({ action, text: `syscalls.${index}: unknown system call \`${name}\`` })),
  );
  const denied = unknown.filter(({ action }) => ACTIONS[action] !== 'allow');
  if (denied.length > 0) throw invalid(denied.map(({ text }) => text));
  return {
    description: data.description ?? '',
    defaultAction: actionOf(data.defaultAction, data.defaultErrnoRet),
    architectures: data.architectures ?? data.archMap?.map((entry) => entry.architecture) ?? null,
    rules: data.syscalls.map((rule) => ({
      names: rule.names,
      clause: clauseOf(rule, data.defaultErrnoRet),
      includes: rule.includes ?? {},
      excludes: rule.excludes ?? {},
    })),
    warnings: unknown.map(({ text }) => text),
  };
}

/**
 * What a profile says of each system call of an architecture, as libseccomp would build it: a rule
 * that only repeats the default is dropped, one without arguments wins over those with, and several
 * with arguments are alternatives.
 *
 * @param kernel - `[major, minor]` of the running kernel, for `minKernel`
 * @throws {PolicyError} when the profile is for other architectures, or conditional rules for one
 *   call have different actions: libseccomp leaves open which of two that overlap would win
 */
export function profileClauses(
  profile: SeccompProfile,
  architecture: Architecture,
  kernel: readonly [major: number, minor: number],
): ReadonlyMap<number, readonly SeccompClause[]> {
  const { oci } = ARCHITECTURE_NAMES[architecture];
  if (profile.architectures !== null && !profile.architectures.includes(oci)) {
    throw invalid([`it is for ${profile.architectures.join(', ')}, not for ${oci}`]);
  }
  const numbers = syscallsOf(architecture);
  const clauses = new Map<number, readonly SeccompClause[]>();
  for (const { names, clause, includes, excludes } of profile.rules) {
    const applies =
      meets(includes, architecture, kernel, 'all') && !meets(excludes, architecture, kernel, 'any');
    if (!applies || sameAction(clause.action, profile.defaultAction)) continue;
    for (const name of names) {
      const number = numbers.get(name);
      if (number === undefined) continue;
      clauses.set(number, merged(name, clauses.get(number) ?? [], clause));
    }
  }
  return clauses;
}

function merged(
  name: string,
  existing: readonly SeccompClause[],
  added: SeccompClause,
): readonly SeccompClause[] {
  if (existing.some((clause) => clause.tests.length === 0)) return existing;
  if (added.tests.length === 0) return [added];
  if (existing.some((clause) => !sameAction(clause.action, added.action))) {
    throw invalid([`\`${name}\`: rules with arguments must not have different actions`]);
  }
  return [...existing, added];
}

function clauseOf(rule: ProfileRule, defaultErrno: number | undefined): SeccompClause {
  return {
    action: actionOf(rule.action, rule.errnoRet ?? defaultErrno),
    tests: (rule.args ?? []).map(({ index, value, valueTwo, op }): ArgumentTest => {
      const masked = op === 'SCMP_CMP_MASKED_EQ';
      return {
        index,
        comparison: OPERATORS[op],
        value: masked ? (valueTwo ?? 0n) : value,
        mask: masked ? value : ALL_BITS,
      };
    }),
  };
}

function actionOf(name: keyof typeof ACTIONS, errnoRet: number | undefined): SeccompAction {
  const action = ACTIONS[name];
  return action === 'errno' ? { do: 'errno', errno: errnoRet ?? EPERM } : { do: action };
}

/** `includes` asks for all of its conditions, `excludes` for any; an empty one is met or not. */
function meets(
  condition: ProfileCondition,
  architecture: Architecture,
  kernel: readonly [number, number],
  quantity: 'all' | 'any',
): boolean {
  const { caps, arches, minKernel } = condition;
  const facts = [
    ...(caps === undefined || caps.length === 0 ? [] : [false]),
    ...(arches === undefined || arches.length === 0
      ? []
      : [arches.includes(ARCHITECTURE_NAMES[architecture].docker)]),
    ...(minKernel === undefined ? [] : [atLeast(kernel, minKernel)]),
  ];
  return quantity === 'all' ? facts.every(Boolean) : facts.some(Boolean);
}

function atLeast([major, minor]: readonly [number, number], wanted: string): boolean {
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function invalid(problems: readonly string[]): PolicyError {
  return new PolicyError(
    'ENF_POLICY_INVALID',
    `the seccomp profile has problems: ${problems.join('; ')}`,
    { details: { problems } },
  );
}
