import type { Json, Reason } from '../call.ts';
import {
  type ArgumentKind,
  BUILTIN_RULE_NAMES,
  type ContentRulesSection,
  compileLinearPattern,
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

/** A rule by name, and how strongly it speaks. */
interface NamedRule {
  readonly name: string;
  readonly breaks: ContentRule;
  /** A key such as `id` is a name, not the command `id`: built-in rules pass over plain keys. */
  readonly isBuiltin: boolean;
}

/**
 * What arguments may not contain. Every text is looked at as given and as sent, at every depth,
 * keys too, and in every form that a decoder would make of it. Tripwires: they stop what is
 * clumsy and name what is clever; isolation is the wall.
 */
export function contentChecks(
  section: ContentRulesSection | undefined,
  kinds: Readonly<Record<string, ArgumentKind>>,
): Check[] {
  if (section === undefined || section.enabled === false) return [];
  const builtins = (section.builtins ?? BUILTIN_RULE_NAMES).map((name) => ({
    name,
    breaks: BUILTINS[name],
    isBuiltin: true,
  }));
  // `redact` is the redaction engine's; see `toolRules`.
  const patterns = section.block_patterns ?? [];
  const blocking = patterns.filter(({ action = 'block' }) => action === 'block').map(patternRule);
  const recording = patterns.filter(({ action }) => action === 'log').map(patternRule);
  return [
    contentCheck([...builtins, ...blocking], 'soft', kinds),
    ...(recording.length === 0 ? [] : [contentCheck(recording, 'record', kinds)]),
  ];
}

function patternRule({ name, pattern }: { name: string; pattern: string }): NamedRule {
  const compiled = compileLinearPattern(pattern);
  return { name, breaks: (text) => compiled.test(text), isBuiltin: false };
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
  rules: readonly NamedRule[],
  force: Check['force'],
  kinds: Readonly<Record<string, ArgumentKind>>,
): Check {
  return {
    rule: 'content_rules',
    force,
    run({ call, redactedArgs }) {
      const given = reasonsIn(call.args, rules, kinds);
      if (redactedArgs === call.args || given.length > 0) return given;
      return reasonsIn(redactedArgs, rules, kinds);
    },
  };
}

/** Reasons shown for one call. */
const REASONS_MAX = 20;

function reasonsIn(
  args: Json,
  rules: readonly NamedRule[],
  kinds: Readonly<Record<string, ArgumentKind>>,
): Reason[] {
  const reasons: Reason[] = [];
  for (const string of argumentStrings(args, kinds)) {
    const forms = formsOf(string.text, string.kind);
    for (const rule of rules) {
      if (reasons.length >= REASONS_MAX) return reasons;
      if (isBroken(rule, string, forms)) reasons.push(reasonOf(rule, string));
    }
  }
  return reasons;
}

function isBroken(rule: NamedRule, string: ArgumentString, forms: readonly string[]): boolean {
  if (rule.isBuiltin && string.isKey && /^[\w-]{1,64}$/.test(string.text)) return false;
  return forms.some((form) => rule.breaks(form, string.kind));
}

function reasonOf({ name }: NamedRule, { path }: ArgumentString): Reason {
  const message = `\`${path}\` breaks \`${name}\``;
  return { rule: `content_rules.${name}`, code: 'ENF_DENIED_CONTENT', message };
}
