import { z } from 'zod';
import { compileCondition } from './condition.ts';
import { domainPatternProblem } from './domain-pattern.ts';
import { DURATION } from './duration.ts';
import { compileLinearPattern } from './linear-pattern.ts';

/** Longest list of names in one section: room for 10,000 tools. */
export const LIST_MAX = 20_000;

/** Rules of one kind; each may be asked on every call. */
export const RULES_MAX = 1000;

/** Seven days: what `setTimeout` holds (24.8 days), with room. */
export const SECONDS_MAX = 604_800;

/** Thirty days: as far as rates and sequence rules look back. */
export const WINDOW_SECONDS_MAX = 2_592_000;

/** The switch of a section. */
export const enabled: z.ZodExactOptional<z.ZodBoolean> = z
  .boolean()
  .exactOptional()
  .describe('A section that is present is on unless this is false.');

/** One line of text. */
export const line = (max: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not contain control characters');

/** Adds a check that throws the reason why a text is not what it should be. */
function checked(base: z.ZodString, compile: (text: string) => unknown): z.ZodString {
  return base.check((context) => {
    try {
      compile(context.value);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.issues.push({ code: 'custom', input: context.value, message });
    }
  });
}

/** One tool. */
export const toolName: z.ZodString = z
  .string()
  .min(1)
  .max(256)
  .regex(
    /^[A-Za-z0-9_.:<>/-]+$/,
    'must be a tool name: letters, digits and `_ . : < > / -`, without `*`',
  );

/** One tool, or a glob. */
export const toolPattern: z.ZodString = z
  .string()
  .min(1)
  .max(256)
  .regex(
    /^[A-Za-z0-9_.:<>/*-]+$/,
    'must be a tool name, or a glob with `*`: letters, digits and `_ . : < > / -`',
  );

/** Names a rule in reasons and counts. */
export const ruleName: z.ZodString = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9_-]+$/, 'must be a name of letters, digits, `_` and `-`');

/** A pattern that is matched in linear time. */
export const pattern: z.ZodString = checked(z.string().min(1), compileLinearPattern).describe(
  'A pattern in RE2 syntax (no look-around, no back-references); `(?i)` ignores case.',
);

/** A condition in CEL. */
export const condition: z.ZodString = checked(z.string().min(1).max(2000), compileCondition);

/** A duration with a unit. */
export const duration: z.ZodString = z
  .string()
  .regex(DURATION, 'must be a duration such as `30s`, `10m`, `1h` or `7d`')
  .max(12);

/** A host name, or all below one. */
export const domain: z.ZodString = checked(z.string().min(1).max(253), (text) => {
  const problem = domainPatternProblem(text);
  if (problem !== null) throw new SyntaxError(problem);
});

/** A path without globs; relative ones are resolved later. */
export const path: z.ZodString = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^*?[\]\0]*$/, 'must be a path without `*`, `?`, `[` or `]`: globs are not expanded')
  .regex(/^[^~]/, 'must not start with `~`: no home folder is known here');

/** An environment variable. */
export const variableName: z.ZodString = z
  .string()
  .max(256)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a variable name');

/** A number, or the word that stands for none. */
export const limit = (number: z.ZodNumber): z.ZodUnion<[z.ZodLiteral<'unlimited'>, z.ZodNumber]> =>
  z.union([z.literal('unlimited'), number]);

/** A whole number. */
export const count = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);
