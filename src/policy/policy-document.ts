import type { Layer, Tier } from '../call.ts';
import type { PII_CATEGORY_NAMES, SECRET_CATEGORY_NAMES, STRATEGY_NAMES } from './policy-schema.ts';

/**
 * A validated policy: only what its files really wrote, so an absent key is absent. The schema in
 * `policy-schema.ts` says what each key means; a type test holds the two together.
 */
export interface PolicyDocument {
  readonly name: string;
  readonly version?: string;
  readonly allowed_tools?: readonly string[];
  readonly denied_tools?: readonly string[];
  readonly pii_redaction?: PiiRedactionSection;
  readonly secret_detection?: SecretDetectionSection;
  readonly resource_limits?: ResourceLimitsSection;
  readonly environment?: EnvironmentSection;
  readonly isolation?: IsolationSection;
  readonly audit?: AuditSection;
  readonly on_violation?: 'block' | 'log';
}

export interface PiiRedactionSection {
  readonly enabled?: boolean;
  readonly categories?: readonly (typeof PII_CATEGORY_NAMES)[number][];
  readonly strategy?: (typeof STRATEGY_NAMES)[number];
  readonly direction?: 'both' | 'input' | 'output';
}

export interface SecretDetectionSection {
  readonly enabled?: boolean;
  readonly categories?: 'all' | readonly (typeof SECRET_CATEGORY_NAMES)[number][];
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
  readonly max_concurrent_calls?: number | 'unlimited';
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
