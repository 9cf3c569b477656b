import {
  PII_CATEGORIES,
  type PiiCategory,
  SECRET_CATEGORIES,
  type SecretCategory,
} from './categories.ts';
import type { Detector, Finding, Source } from './finding.ts';
import { settleOverlaps } from './overlaps.ts';
import { findEmails } from './pii/email.ts';
import { findIpV6 } from './pii/ip-v6.ts';
import { numberDetector } from './pii/numbers.ts';
import { assignmentDetector } from './secrets/assignments.ts';
import { authorizationDetector } from './secrets/authorization.ts';
import { awsSecretKeyDetector } from './secrets/aws-secret-key.ts';
import { commandDetector } from './secrets/commands.ts';
import { findJwts } from './secrets/jwt.ts';
import { pemDetector } from './secrets/pem.ts';
import { tokenDetector } from './secrets/tokens.ts';
import { urlPasswordDetector } from './secrets/url-passwords.ts';

/** Ties between equally long matches go to the category that comes first here. */
const ORDER: readonly string[] = [...SECRET_CATEGORIES, ...PII_CATEGORIES];

const ROUNDS_MAX = 4;
/** Characters that make one word of a match and its neighbour. */
const GLUE = /[\p{L}\p{M}\p{N}_@.+:/%&\\-]/u;

/** Finds everything it was made for in a text: disjoint findings in order of position. */
export type Scanner = (source: Source) => Finding[];

/**
 * Makes a scanner from detectors.
 *
 * @param detectors - run one after the other over the text; their overlaps are settled
 */
export function createScanner(detectors: readonly Detector[]): Scanner {
  return (source) => {
    const found = findAll(detectors, source);
    let text = source.text;
    let fresh = found;
    // What stood glued to a match stands free once the match is cut out: look again, so that
    // redacting the result finds nothing new.
    for (let round = 0; round < ROUNDS_MAX && fresh.some((one) => isGlued(text, one)); round += 1) {
      text = blankOut(text, settleOverlaps(fresh, ORDER));
      fresh = findAll(detectors, { ...source, text });
      found.push(...fresh);
    }
    return settleOverlaps(found, ORDER);
  };
}

function findAll(detectors: readonly Detector[], source: Source): Finding[] {
  const found: Finding[] = [];
  for (const detect of detectors) detect(source, found);
  return found;
}

function isGlued(text: string, { start, end }: Finding): boolean {
  return GLUE.test(text[start - 1] ?? ' ') || GLUE.test(text[end] ?? ' ');
}

/** Puts brackets around asterisks in the place of matches: what a placeholder looks like. */
function blankOut(text: string, findings: readonly Finding[]): string {
  let blanked = '';
  let from = 0;
  for (const { start, end } of findings) {
    const blank = end - start < 2 ? '*' : `<${'*'.repeat(end - start - 2)}>`;
    blanked += text.slice(from, start) + blank;
    from = end;
  }
  return blanked + text.slice(from);
}

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
