import type { Json, Reason } from '../call.ts';
import {
  type ArgumentKind,
  BUILTIN_RULE_NAMES,
  CHECK_WORK_MAX,
  type ContentRulesSection,
  compilePatternSet,
  type PatternSet,
  type WorkBudget,
} from '../policy/index.ts';
import { type ArgumentString, argumentStrings } from './argument-strings.ts';
import type { Check } from './check.ts';
import { hasCodeExecution } from './code-execution.ts';
import { COMMAND_LENGTH_MAX, isDangerousCommand } from './command-policy.ts';
import { decodedForms } from './decoded-forms.ts';
import { hasPathTraversal } from './path-traversal.ts';
import { hasShellInjection } from './shell-injection.ts';
import { hasSqlInjection } from './sql-injection.ts';
import { isDangerousSql } from './sql-policy.ts';

type BuiltinName = (typeof BUILTIN_RULE_NAMES)[number];

/** Whether a text violates a rule, given what kind of string it is. */
type ContentRule = (text: string, kind: ArgumentKind) => boolean;

/**
 * What arguments may not contain. Every text is looked at as given and as sent, at every depth,
 * keys too, and in every form that a decoder would make of it. Tripwires: they stop what is
 * clumsy and name what is clever; isolation is the wall.
 */
export function contentChecks(
  section: ContentRulesSection | undefined,
): (kinds: Readonly<Record<string, ArgumentKind>>) => Check[] {
  if (section === undefined || section.enabled === false) return () => [];
  // `redact` is the redaction engine's; see `toolRules`.
  const patterns = section.block_patterns ?? [];
  const blocking = rulesOf(
    section.builtins ?? BUILTIN_RULE_NAMES,
    patterns.filter(({ action = 'block' }) => action === 'block'),
  );
  const recording = rulesOf(
    [],
    patterns.filter(({ action }) => action === 'log'),
  );
  return (kinds) => [
    ...(blocking === null ? [] : [contentCheck(blocking, 'soft', kinds)]),
    ...(recording === null ? [] : [contentCheck(recording, 'record', kinds)]),
  ];
}

/** Rules that are asked together. */
interface Rules {
  readonly builtins: readonly BuiltinName[];
  readonly patternNames: readonly string[];
  readonly patterns: PatternSet;
}

function rulesOf(
  builtins: readonly BuiltinName[],
  patterns: readonly { readonly name: string; readonly pattern: string }[],
): Rules | null {
  if (builtins.length + patterns.length === 0) return null;
  return {
    builtins,
    patternNames: patterns.map(({ name }) => name),
    patterns: compilePatternSet(patterns.map(({ pattern }) => pattern)),
  };
}

/** True when a text breaks a built-in rule. */
export function breaksBuiltin(name: BuiltinName, text: string, kind: ArgumentKind): boolean {
  return formsOf(text, kind).some((form) => BUILTINS[name](form, kind));
}

const BUILTINS: Readonly<Record<BuiltinName, ContentRule>> = {
  shell_injection(text, kind) {
    if (kind === 'command') return isDangerousCommand(bounded(text));
    return kind !== 'sql' && hasShellInjection(text);
  },
  path_traversal(text, kind) {
    if (kind === 'command' || kind === 'sql') return false;
    return hasPathTraversal(text, kind === 'path');
  },
  sql_injection(text, kind) {
    if (kind === 'sql') return isDangerousSql(text);
    return kind !== 'command' && kind !== 'path' && hasSqlInjection(text);
  },
  code_execution(text, kind) {
    return kind !== 'command' && kind !== 'sql' && hasCodeExecution(text);
  },
};

/** @throws {RangeError} because a command of that size is not one, and parsing must stay cheap */
function bounded(command: string): string {
  if (command.length > COMMAND_LENGTH_MAX) throw new RangeError('the command is too long to parse');
  return command;
}

/** A shell and a database read what they get; they decode nothing first. */
function formsOf(text: string, kind: ArgumentKind): readonly string[] {
  return kind === 'command' || kind === 'sql' ? [text] : decodedForms(text);
}

function contentCheck(
  rules: Rules,
  force: Check['force'],
  kinds: Readonly<Record<string, ArgumentKind>>,
): Check {
  return {
    rule: 'content_rules',
    force,
    run({ call, redactedArgs }) {
      const budget = { left: CHECK_WORK_MAX };
      const given = reasonsIn(call.args, rules, kinds, budget);
      if (redactedArgs === call.args || given.length > 0) return given;
      return reasonsIn(redactedArgs, rules, kinds, budget);
    },
  };
}

/** Reasons shown for one call. */
const REASONS_MAX = 20;

function reasonsIn(
  args: Json,
  rules: Rules,
  kinds: Readonly<Record<string, ArgumentKind>>,
  budget: WorkBudget,
): Reason[] {
  const reasons: Reason[] = [];
  for (const string of argumentStrings(args, kinds)) {
    reasons.push(...brokenBy(string, rules, budget).map((name) => reasonOf(name, string)));
    if (reasons.length >= REASONS_MAX) break;
  }
  return reasons.slice(0, REASONS_MAX);
}

/** Names of the rules that a text breaks in any of its forms. */
function brokenBy(string: ArgumentString, rules: Rules, budget: WorkBudget): string[] {
  const forms = formsOf(string.text, string.kind);
  // A key such as `id` is a name, not the command `id`.
  const isPlainKey = string.isKey && /^[\w-]{1,64}$/.test(string.text);
  const builtins = isPlainKey ? [] : rules.builtins;
  const patterns = forms.flatMap((form) => rules.patterns.match(form, budget));
  return [
    ...builtins.filter((name) => forms.some((form) => BUILTINS[name](form, string.kind))),
    ...[...new Set(patterns)].map((index) => rules.patternNames[index] ?? ''),
  ];
}

function reasonOf(name: string, { path }: ArgumentString): Reason {
  const message = `\`${path}\` breaks \`${name}\``;
  return { rule: `content_rules.${name}`, code: 'ENF_DENIED_CONTENT', message };
}
