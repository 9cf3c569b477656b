import { PII_CATEGORY_NAMES } from './category-names.ts';
import type {
  AuditSection,
  EnvironmentSection,
  FilesystemSection,
  IsolationSection,
  NetworkSection,
  PiiRedactionSection,
  ResourceLimitsSection,
  SecretDetectionSection,
} from './policy-document.ts';

/** Sections of a policy with every key present. */
export interface DefaultSections {
  readonly resource_limits: Required<ResourceLimitsSection>;
  readonly filesystem: Required<FilesystemSection>;
  readonly network: NetworkSection;
  readonly environment: Required<EnvironmentSection>;
  readonly pii_redaction: Required<Omit<PiiRedactionSection, 'salt'>>;
  readonly secret_detection: Required<SecretDetectionSection>;
  readonly redact_output: boolean;
  readonly isolation: Required<IsolationSection>;
  readonly audit: Required<AuditSection>;
  readonly on_violation: 'block' | 'log';
}

/**
 * What holds where a policy says nothing: the values of `policies/default.yaml`, kept equal by a
 * test. Code needs them without reading a file.
 */
export const DEFAULTS: DefaultSections = {
  resource_limits: {
    max_call_duration_seconds: 30,
    max_cpu_seconds: 20,
    max_memory_mb: 256,
    max_processes: 64,
    max_open_files: 256,
    max_file_size_mb: 64,
    max_disk_mb: 256,
    max_input_size_bytes: 10_485_760,
    max_argument_depth: 64,
    max_output_size_bytes: 1_048_576,
    max_cost_usd: 'unlimited',
    max_concurrent_calls: 8,
    on_busy: 'deny',
  },
  filesystem: { read: [], write: [], deny: [], execute: [] },
  network: 'none',
  environment: { pass: [], set: {} },
  pii_redaction: {
    enabled: true,
    categories: PII_CATEGORY_NAMES,
    strategy: 'placeholder',
    direction: 'both',
    exempt: [],
  },
  secret_detection: { enabled: true, categories: 'all', strategy: 'placeholder' },
  redact_output: true,
  isolation: {
    level: 'auto',
    min: 'process',
    require: [],
    profile: 'strict',
    exec: 'none',
    reuse: 1,
  },
  audit: { required: false, record: 'digests' },
  on_violation: 'block',
};
