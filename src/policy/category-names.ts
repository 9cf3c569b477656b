/** PII that can be redacted. Kept equal to the redaction engine's own list by a test. */
export const PII_CATEGORY_NAMES = ['email', 'phone', 'ssn', 'credit_card', 'ip_address'] as const;

/** Secrets that can be redacted. Kept equal to the redaction engine's own list by a test. */
export const SECRET_CATEGORY_NAMES = [
  'private_key',
  'ssh_private_key',
  'certificate',
  'aws_access_key',
  'aws_secret_key',
  'github_token',
  'gcp_credential',
  'azure_credential',
  'vendor_token',
  'bearer_token',
  'database_connection_string',
  'password_in_url',
  'password',
  'generic_api_key',
] as const;

/** What a finding can become. */
export const STRATEGY_NAMES = ['placeholder', 'mask', 'hash', 'remove'] as const;

/** Content rules that come with the package. */
export const BUILTIN_RULE_NAMES = [
  'shell_injection',
  'path_traversal',
  'sql_injection',
  'code_execution',
] as const;

/** What kind of string an argument can be. */
export const ARGUMENT_KINDS = ['command', 'path', 'sql', 'url', 'data'] as const;
