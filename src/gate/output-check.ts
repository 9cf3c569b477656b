import type { Json, Reason } from '../call.ts';
import { CHECK_WORK_MAX, compilePatternSet, type OutputRulesSection } from '../policy/index.ts';
import { argumentStrings } from './argument-strings.ts';
import type { CompiledPolicy } from './compile-policy.ts';

/** What came back from a tool, before redaction. */
export interface ToolOutput {
  readonly value: Json | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Secrets that the redaction engine found in any of them. */
  readonly secretsFound: number;
}

/** Reasons to withhold an output. */
export type OutputCheck = (output: ToolOutput) => readonly Reason[];

/**
 * May this output be passed on? Never throws: a rule that fails withholds the output. Under
 * `on_violation: log` the caller passes it on and records the reasons.
 */
export function checkOutput(
  compiled: CompiledPolicy,
  tool: string,
  output: ToolOutput,
): readonly Reason[] {
  try {
    return compiled.checksFor(tool).output(output);
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error;
    const message = `the output could not be examined (${name})`;
    return [{ rule: 'output_rules', code: 'ENF_DENIED_RULE_FAILED', message }];
  }
}

/** Compiles `output_rules`; an absent section has nothing against any output. */
export function outputCheck(section: OutputRulesSection | undefined): OutputCheck {
  if (section === undefined || section.enabled === false) return () => [];
  const names = (section.block_patterns ?? []).map(({ name }) => name);
  const patterns = compilePatternSet((section.block_patterns ?? []).map(({ pattern }) => pattern));
  return (output) => {
    const budget = { left: CHECK_WORK_MAX };
    const found = new Map<number, string>();
    for (const { text, path } of placesOf(output)) {
      for (const index of patterns.match(text, budget))
        if (!found.has(index)) found.set(index, path);
    }
    const reasons = [...found].map(([index, path]) => {
      const name = names[index] ?? '';
      return deny(`output_rules.${name}`, `\`${path}\` breaks \`${name}\``);
    });
    const secrets = section.block_secrets !== false && output.secretsFound > 0;
    const message = `${output.secretsFound} secrets were found in the output`;
    return secrets ? [deny('output_rules.block_secrets', message), ...reasons] : reasons;
  };
}

/** Results are bounded by `max_output_size_bytes`; patterns bound themselves. */
const OUTPUT = { charactersMax: 16_777_216, stringsMax: 100_000 };

function placesOf({ value, stdout, stderr }: ToolOutput): { text: string; path: string }[] {
  const inValue = value === undefined ? [] : argumentStrings(value, {}, OUTPUT);
  return [
    ...inValue.map(({ text, path }) => ({ text, path: path.replace(/^args/, 'result') })),
    { text: stdout, path: 'stdout' },
    { text: stderr, path: 'stderr' },
  ];
}

function deny(rule: string, message: string): Reason {
  return { rule, code: 'ENF_DENIED_OUTPUT', message };
}
