/** Personal data that is looked for, in the order that breaks ties between equally long matches. */
export const PII_CATEGORIES = ['email', 'phone', 'ssn', 'credit_card', 'ip_address'] as const;
export type PiiCategory = (typeof PII_CATEGORIES)[number];

/** Secrets that are looked for. `vendor_token` stands for every row of the vendor table. */
export const SECRET_CATEGORIES = [
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
export type SecretCategory = (typeof SECRET_CATEGORIES)[number];

/** What takes the place of a match. */
export const STRATEGIES = ['placeholder', 'mask', 'hash', 'remove'] as const;
export type Strategy = (typeof STRATEGIES)[number];

const MASKS: Readonly<Record<PiiCategory, string>> = {
  email: '****@****.***',
  phone: '***-***-****',
  ssn: '***-**-****',
  credit_card: '****-****-****-****',
  ip_address: '***.***.***.***',
};

/**
 * The fixed mask of a category: the look of the value, nothing of its content or length.
 *
 * @param category - any category; those without a shape of their own give eight asterisks
 */
export function maskOf(category: string): string {
  return Object.hasOwn(MASKS, category) ? MASKS[category as PiiCategory] : '********';
}
