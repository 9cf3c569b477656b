import type { PiiCategory, SecretCategory } from './categories.ts';
import type { Detector } from './finding.ts';
import { findEmails } from './pii/email.ts';
import { findIpV6 } from './pii/ip-v6.ts';
import { numberDetector } from './pii/numbers.ts';
import { assignmentDetector } from './tokens/assignments.ts';
import { authorizationDetector } from './tokens/authorization.ts';
import { awsSecretKeyDetector } from './tokens/aws-secret-key.ts';
import { commandDetector } from './tokens/commands.ts';
import { findJwts } from './tokens/jwt.ts';
import { pemDetector } from './tokens/pem.ts';
import { tokenDetector } from './tokens/tokens.ts';
import { urlPasswordDetector } from './tokens/url-passwords.ts';

/** The detectors for some categories of personal data. */
export function piiDetectors(categories: readonly PiiCategory[]): Detector[] {
  const detectors: Detector[] = [];
  if (categories.includes('email')) detectors.push(findEmails);
  if (categories.some((category) => category !== 'email'))
    detectors.push(numberDetector(categories));
  if (categories.includes('ip_address')) detectors.push(findIpV6);
  return detectors;
}

/** The detectors for some categories of secrets. */
export function secretDetectors(categories: readonly SecretCategory[]): Detector[] {
  if (categories.length === 0) return [];
  const wanted: ReadonlySet<string> = new Set(categories);
  return [
    tokenDetector(wanted),
    pemDetector(wanted),
    ...(wanted.has('bearer_token') ? [findJwts] : []),
    authorizationDetector(wanted),
    urlPasswordDetector(wanted),
    awsSecretKeyDetector(wanted),
    assignmentDetector(wanted),
    commandDetector(wanted),
  ];
}
