import type { PiiCategory, SecretCategory } from './categories.ts';
import type { Detector } from './finding.ts';
import { findEmails } from './pii/email.ts';
import { findIpV6 } from './pii/ip-v6.ts';
import { numberDetector } from './pii/numbers.ts';
import { assignmentLandmark, heldAssignmentDetector } from './tokens/assignments.ts';
import { AUTHORIZATION_LANDMARK } from './tokens/authorization.ts';
import { AWS_SECRET_LANDMARK, findHeldAwsSecret } from './tokens/aws-secret-key.ts';
import { COMMAND_LANDMARK } from './tokens/commands.ts';
import { JWT_LANDMARK } from './tokens/jwt.ts';
import { landmarkDetector } from './tokens/landmarks.ts';
import { pemDetector } from './tokens/pem.ts';
import { tokenLandmark } from './tokens/tokens.ts';
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
  const one = <Kind>(category: SecretCategory, kind: Kind) => (wanted.has(category) ? [kind] : []);
  return [
    landmarkDetector([
      tokenLandmark(wanted),
      assignmentLandmark(wanted),
      ...one('bearer_token', JWT_LANDMARK),
      ...one('bearer_token', AUTHORIZATION_LANDMARK),
      ...one('aws_secret_key', AWS_SECRET_LANDMARK),
      ...one('password', COMMAND_LANDMARK),
    ]),
    pemDetector(wanted),
    urlPasswordDetector(wanted),
    heldAssignmentDetector(wanted),
    ...one('aws_secret_key', findHeldAwsSecret),
  ];
}
