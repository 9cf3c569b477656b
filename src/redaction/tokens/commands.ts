import type { Detector, Finding } from '../finding.ts';
import { isPlaceholder, looksLikePassword } from './secret-value.ts';

/** How far behind the command's name its password is looked for, in characters. */
const REACH = 320;

/** A command or keyword, and where the password stands behind it: the last group. */
interface CommandRule {
  readonly command: string;
  readonly password: RegExp;
}

const RULES: readonly CommandRule[] = [
  // mysql -u root -pSECRET, mysqldump, mariadb-admin, sshpass -p SECRET
  { command: 'mysql|mariadb|sshpass', password: /\s-p[ '"]?([^\s'"]{4,64})/ },
  { command: 'redis-cli', password: /\s-a ['"]?([^\s'"]{4,64})/ },
  // curl -u user:SECRET, --user, --proxy-user
  {
    command: 'curl',
    password: /\s(?:-u|--user|--proxy-user)[ =]?['"]?[^\s:'"]{0,64}:([^\s'"]{3,128})/,
  },
  // CREATE USER x IDENTIFIED BY 'SECRET', IDENTIFIED WITH plugin BY 'SECRET'
  {
    command: 'identified',
    password: /\sby\s{1,4}(?:(?:values|password)\s{1,4})?\\?['"]?([^\s'";)\\]{4,128})/i,
  },
  // WITH PASSWORD 'SECRET', SET PASSWORD FOR x = 'SECRET', PASSWORD SECRET
  {
    command: 'password',
    password:
      /^password\s{1,4}(?:for\s{1,4}[^\s=]{1,64}\s{0,4}=\s{0,4})?(?:password\()?n?\\?['"]([^\s'"\\]{4,128})/i,
  },
  { command: 'password', password: /^PASSWORD\s{1,4}([^\s'";,()=:]{6,128})/ },
  // openssl -passin pass:SECRET
  { command: 'passin|passout', password: /\spass:([^\s'":]{4,128})/ },
  {
    command: 'convertto-securestring',
    password: /\s(?:-string\s{1,4})?['"]([^'"\n]{4,128})/i,
  },
];

const ANY_COMMAND = new RegExp(RULES.map(({ command }) => command).join('|'), 'i');

/**
 * A detector for passwords in well-known command lines and SQL statements, where no name is
 * assigned: `curl -u user:…`, `mysql -p…`, `IDENTIFIED BY '…'`.
 */
export function commandDetector(categories: ReadonlySet<string>): Detector {
  if (!categories.has('password')) return () => {};
  return ({ text }, found) => {
    if (!ANY_COMMAND.test(text)) return;
    for (const rule of RULES) findAll(text, rule, found);
  };
}

function findAll(text: string, { command, password }: CommandRule, found: Finding[]): void {
  let from = 0;
  for (const match of text.matchAll(new RegExp(command, 'gi'))) {
    if (match.index < from) continue;
    const secret = password.exec(lineAt(text, match.index));
    const end = match.index + (secret === null ? 0 : secret.index + secret[0].length);
    if (secret !== null) addPassword(secret[1] as string, end, found);
    // The same command again, this near, sees the same passwords.
    from = password.source.startsWith('^')
      ? match.index + 1
      : Math.max(end, match.index + REACH / 2);
  }
}

/** The rest of a command: to the end of its line, over lines that end with a backslash. */
function lineAt(text: string, start: number): string {
  const near = text.slice(start, start + REACH);
  const end = near.search(/[^\\]\n/);
  return end < 0 ? near : near.slice(0, end + 1);
}

function addPassword(secret: string, end: number, found: Finding[]): void {
  if (isPlaceholder(secret) || !looksLikePassword(secret, true)) return;
  found.push({ category: 'password', start: end - secret.length, end });
}
