import type { PatternRegistry } from './pattern-registry.ts';
import { createRedactor, type RedactionResult, type RedactOptions } from './redactor.ts';
import type { RedactionRules } from './rules.ts';
import type { Entity } from './structure/walk.ts';

/** Options of the one-off functions: those of a {@link RedactOptions} and patterns of one's own. */
export interface OneOffOptions extends RedactOptions {
  readonly patterns?: PatternRegistry;
}

/**
 * A redacted copy of a value of any shape.
 *
 * @param rules - as in a policy file; compiled anew for every call: use `createRedactor` for many
 * @throws {EnforceError} `ENF_REDACTION_*` for rules that cannot hold and values that cannot be read
 */
export async function redact<T>(
  value: T,
  rules: RedactionRules,
  options: OneOffOptions = {},
): Promise<RedactionResult<T>> {
  return createRedactor(rules, options).redact(value, options);
}

/**
 * What the rules would redact in a text: category and UTF-16 offsets, in order of position.
 *
 * @throws {PolicyError} `ENF_REDACTION_RULES`, `ENF_REDACTION_PATTERN`
 */
export function detect(
  text: string,
  rules: RedactionRules,
  options: OneOffOptions = {},
): readonly Entity[] {
  return createRedactor(rules, options).detect(text, options);
}

/**
 * Redacts a stream of text or UTF-8 bytes, such as a child's stdout:
 * `for await (const text of redactStream(child.stdout, rules))`. Works with `stream.pipeline`.
 *
 * @param source - strings, or bytes whose characters may be split over chunks
 * @returns redacted pieces; together they are the redacted text, however the source was cut
 */
export async function* redactStream(
  source: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  rules: RedactionRules,
  options: OneOffOptions = {},
): AsyncGenerator<string, void, undefined> {
  const stream = createRedactor(rules, options).stream(options);
  const decoder = new TextDecoder();
  for await (const chunk of source) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const redacted = stream.push(text);
    if (redacted !== '') yield redacted;
  }
  const rest = stream.push(decoder.decode()) + stream.end();
  if (rest !== '') yield rest;
}
