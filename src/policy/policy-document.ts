import type { Json, Layer, Tier } from '../call.ts';
import type {
  BUILTIN_RULE_NAMES,
  PII_CATEGORY_NAMES,
  SECRET_CATEGORY_NAMES,
  STRATEGY_NAMES,
} from './category-names.ts';

/**
 * A validated policy: only what its files really wrote, so an absent key is absent. The schema in
 * `policy-schema.ts` says what each key means; a type test holds the two together.
 */
export interface PolicyDocument extends ToolSections {
  readonly name: string;
  readonly version?: string;
  readonly inheritance?: 'merge' | 'narrow';
  readonly allowed_tools?: readonly string[];
  readonly denied_tools?: readonly string[];
  readonly sequence_rules?: readonly SequenceRule[];
  readonly tools?: Readonly<Record<string, ToolSection>>;
  readonly rate_limits?: RateLimitsSection;
  readonly cost?: Readonly<Record<string, number>>;
  readonly audit?: AuditSection;
  readonly on_violation?: 'block' | 'log';
}

/** The sections that may stand at the top and, narrowing it, under one tool. */
export interface ToolSections {
  readonly conditions?: readonly string[];
  readonly pii_redaction?: PiiRedactionSection;
  readonly secret_detection?: SecretDetectionSection;
  readonly custom_patterns?: readonly CustomPattern[];
  readonly redact_output?: boolean;
  readonly content_rules?: ContentRulesSection;
  readonly output_rules?: OutputRulesSection;
  readonly network?: NetworkSection;
  readonly resource_limits?: ResourceLimitsSection;
  readonly filesystem?: FilesystemSection;
  readonly environment?: EnvironmentSection;
  readonly isolation?: IsolationSection;
}

/** What holds for one tool besides what holds for all. */
export interface ToolSection extends ToolSections {
  readonly target?: TargetPin;
  readonly args?: Readonly<Record<string, ArgumentKind>>;
  readonly input_schema?: Readonly<Record<string, Json>>;
}

/** What kind of string an argument is; it decides which content rules look at it, and how. */
export type ArgumentKind = 'command' | 'path' | 'sql' | 'url' | 'data';

/** The only code that may run under a tool's name. `path` is absolute after loading. */
export interface TargetPin {
  readonly path?: string;
  readonly sha256?: string;
}

export type SequenceRule =
  | { readonly tool: string; readonly requires_prior: PriorCall }
  | { readonly tool: string; readonly forbid_after: PriorCall }
  | { readonly tool: string; readonly sum: string; readonly max: number; readonly within: string };

/** Another call of the session; without `within`, at any time. */
export interface PriorCall {
  readonly tool: string;
  readonly within?: string;
}

export interface PiiRedactionSection {
  readonly enabled?: boolean;
  readonly categories?: readonly (typeof PII_CATEGORY_NAMES)[number][];
  readonly strategy?: (typeof STRATEGY_NAMES)[number];
  readonly direction?: 'both' | 'input' | 'output';
  readonly exempt?: readonly string[];
  readonly salt?: string;
}

export interface SecretDetectionSection {
  readonly enabled?: boolean;
  readonly categories?: 'all' | readonly (typeof SECRET_CATEGORY_NAMES)[number][];
  readonly strategy?: (typeof STRATEGY_NAMES)[number];
}

export interface CustomPattern {
  readonly name: string;
  readonly pattern: string;
  readonly validator?: 'luhn' | 'iban' | 'none';
  readonly placeholder?: string;
}

export interface ContentRulesSection {
  readonly enabled?: boolean;
  readonly builtins?: readonly (typeof BUILTIN_RULE_NAMES)[number][];
  readonly block_patterns?: readonly BlockPattern[];
}

export interface BlockPattern {
  readonly name: string;
  readonly pattern: string;
  readonly action?: 'block' | 'redact' | 'log';
}

export interface OutputRulesSection {
  readonly enabled?: boolean;
  readonly block_secrets?: boolean;
  readonly block_patterns?: readonly OutputPattern[];
}

export interface OutputPattern {
  readonly name: string;
  readonly pattern: string;
}

export type NetworkSection = 'none' | 'unrestricted' | DomainRules;

export interface DomainRules {
  readonly enabled?: boolean;
  readonly allowed_domains?: readonly string[];
  readonly denied_domains?: readonly string[];
  readonly deny_all_other?: boolean;
}

/** By tool name, or `global` for all calls of the policy together. */
export interface RateLimitsSection {
  readonly enabled?: boolean;
  readonly [tool: string]: boolean | RateWindow | readonly RateWindow[] | undefined;
}

export interface RateWindow {
  readonly max_calls: number;
  readonly window_seconds: number;
}

/** `unlimited` is written out; there is no other way to have no limit. */
export interface ResourceLimitsSection {
  readonly max_call_duration_seconds?: number | 'unlimited';
  readonly max_cpu_seconds?: number | 'unlimited';
  readonly max_memory_mb?: number | 'unlimited';
  readonly max_processes?: number | 'unlimited';
  readonly max_open_files?: number | 'unlimited';
  readonly max_file_size_mb?: number | 'unlimited';
  readonly max_disk_mb?: number | 'unlimited';
  readonly max_input_size_bytes?: number | 'unlimited';
  readonly max_argument_depth?: number;
  readonly max_output_size_bytes?: number | 'unlimited';
  readonly max_cost_usd?: number | 'unlimited';
  readonly max_concurrent_calls?: number | 'unlimited';
  readonly on_busy?: 'deny' | BusyQueue;
}

/** Calls that may wait for a free place, and how long. */
export interface BusyQueue {
  readonly queue: number;
  readonly waitMs: number;
}

/** Absolute paths after loading. */
export interface FilesystemSection {
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  readonly deny?: readonly string[];
  readonly execute?: readonly string[];
}

export interface EnvironmentSection {
  readonly pass?: readonly string[];
  readonly set?: Readonly<Record<string, string>>;
}

export interface IsolationSection {
  readonly level?: 'auto' | Tier;
  readonly min?: Tier;
  readonly require?: readonly Layer[];
  readonly profile?: 'strict' | 'compat' | 'off';
  readonly exec?: 'none' | 'any';
  readonly reuse?: number;
}

export interface AuditSection {
  readonly required?: boolean;
  readonly record?: 'digests' | 'redacted';
}
