import type { Confinement } from '../call.ts';
import {
  type ArgumentKind,
  type CustomPattern,
  DEFAULTS,
  type PII_CATEGORY_NAMES,
  type PolicyDocument,
  type SECRET_CATEGORY_NAMES,
  type ToolSections,
} from '../policy/index.ts';
import { confinementOf } from './confinement.ts';

/** The part of a policy that other parts of a call's path act on. */
export interface ToolRules {
  readonly confinement: Confinement;
  readonly redaction: RedactionRulesShape;
  readonly argumentKinds: Readonly<Record<string, ArgumentKind>>;
  readonly redactOutput: boolean;
  readonly audit: { readonly required: boolean; readonly record: 'digests' | 'redacted' };
  readonly onViolation: 'block' | 'log';
}

/** The redaction sections with every default filled in. */
export interface RedactionRulesShape {
  readonly pii_redaction: {
    readonly enabled: boolean;
    readonly categories: readonly (typeof PII_CATEGORY_NAMES)[number][];
    readonly strategy: 'placeholder' | 'mask' | 'hash' | 'remove';
    readonly direction: 'both' | 'input' | 'output';
    readonly exempt: readonly string[];
    readonly salt?: string;
  };
  readonly secret_detection: {
    readonly enabled: boolean;
    readonly categories: 'all' | readonly (typeof SECRET_CATEGORY_NAMES)[number][];
    readonly strategy: 'placeholder' | 'mask' | 'hash' | 'remove';
  };
  /** Also the `content_rules.block_patterns` whose action is `redact`. */
  readonly custom_patterns: readonly Required<CustomPattern>[];
}

/**
 * What holds for one tool, defaults filled in.
 *
 * @param sections - of the tool, already narrowing those that hold for all
 * @param explicit - false for the shipped default policy
 */
export function toolRules(
  document: PolicyDocument,
  sections: ToolSections,
  argumentKinds: Readonly<Record<string, ArgumentKind>>,
  explicit: boolean,
): ToolRules {
  return {
    confinement: confinementOf(sections, explicit),
    redaction: {
      pii_redaction: { ...DEFAULTS.pii_redaction, ...sections.pii_redaction },
      secret_detection: { ...DEFAULTS.secret_detection, ...sections.secret_detection },
      custom_patterns: [...(sections.custom_patterns ?? []), ...redactedPatterns(sections)].map(
        (written) => ({ ...patternDefaults(written.name), ...written }),
      ),
    },
    argumentKinds,
    redactOutput: sections.redact_output ?? DEFAULTS.redact_output,
    audit: { ...DEFAULTS.audit, ...document.audit },
    onViolation: document.on_violation ?? DEFAULTS.on_violation,
  };
}

function patternDefaults(name: string): { validator: 'none'; placeholder: string } {
  return { validator: 'none', placeholder: `<${name.toUpperCase().replaceAll('-', '_')}>` };
}

/** Content rules that redact instead of denying are patterns of the redaction engine. */
function redactedPatterns({ content_rules }: ToolSections): CustomPattern[] {
  if (content_rules === undefined || content_rules.enabled === false) return [];
  return (content_rules.block_patterns ?? [])
    .filter(({ action }) => action === 'redact')
    .map(({ name, pattern }) => ({ name, pattern }));
}
