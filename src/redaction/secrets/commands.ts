import type { Detector, Finding } from '../finding.ts';
import { isPlaceholder, looksLikePassword } from './secret-value.ts';

/** A place in a command or statement where a password stands; the last group is the password. */
interface CommandRule {
  /** Lower case; the pattern is tried only where one of them occurs. */
  readonly anchors: readonly string[];
  readonly pattern: RegExp;
}

const RULES: readonly CommandRule[] = [
  // mysql -u root -pSECRET, mysqldump, mariadb, sshpass -p SECRET, redis-cli -a SECRET
  {
    anchors: ['mysql', 'mariadb', 'sshpass'],
    pattern:
      /(?:mysql\w{0,12}|mariadb[\w-]{0,12}|sshpass)\b[^\n]{0,120}?\s-p[ '"]?([^\s'"]{4,64})/g,
  },
  { anchors: ['redis-cli'], pattern: /redis-cli\b[^\n]{0,120}?\s-a[ '"]{1,2}([^\s'"]{4,64})/g },
  // curl -u user:SECRET, wget --user, http -a user:SECRET
  {
    anchors: ['curl'],
    pattern:
      /\bcurl\b(?:[^\n\\]|\\[\s\S]){0,300}?\s(?:-u|--user|--proxy-user)[ =]{0,2}['"]?[^\s:'"]{0,64}:([^\s'"]{3,128})/g,
  },
  // CREATE USER x IDENTIFIED BY 'SECRET', WITH PASSWORD 'SECRET', SET PASSWORD = 'SECRET'
  {
    anchors: ['identified'],
    pattern:
      /identified\s{1,4}(?:with\s{1,4}[\w'"]{1,40}\s{1,4})?by\s{1,4}(?:values\s{1,4}|password\s{1,4})?\\?['"]?([^\s'";)\\]{4,128})/gi,
  },
  {
    anchors: ['password'],
    pattern:
      /\bpassword\s{1,4}(?:for\s{1,4}\S{1,64}\s{0,4})?(?:=\s{0,4})?(?:n|password\()?\\?['"]([^\s'"\\]{4,128})/gi,
  },
  // CREATE ROLE x LOGIN PASSWORD SECRET
  { anchors: ['password'], pattern: /\bPASSWORD\s{1,4}([^\s'";,()=:]{6,128})/g },
  { anchors: ['passin'], pattern: /\bpass:([^\s'":]{4,128})/g },
  {
    anchors: ['convertto-securestring'],
    pattern: /convertto-securestring\s{1,4}(?:-string\s{1,4})?['"]([^'"\n]{4,128})/gi,
  },
];

const ANCHOR = new RegExp(RULES.flatMap(({ anchors }) => anchors).join('|'), 'i');

/**
 * A detector for passwords in well-known command lines and SQL statements, where no name is
 * assigned: `curl -u user:…`, `mysql -p…`, `IDENTIFIED BY '…'`.
 */
export function commandDetector(categories: ReadonlySet<string>): Detector {
  if (!categories.has('password')) return () => {};
  return ({ text }, found) => {
    if (!ANCHOR.test(text)) return;
    const lower = text.toLowerCase();
    for (const { anchors, pattern } of RULES) {
      if (anchors.some((anchor) => lower.includes(anchor))) findAll(text, pattern, found);
    }
  };
}

function findAll(text: string, pattern: RegExp, found: Finding[]): void {
  for (const match of text.matchAll(pattern)) {
    const secret = match[1] as string;
    if (isPlaceholder(secret) || !looksLikePassword(secret, true)) continue;
    const end = match.index + match[0].length;
    found.push({ category: 'password', start: end - secret.length, end });
  }
}
