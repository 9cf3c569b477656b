import type { Finding } from '../finding.ts';
import type { Landmark } from './landmarks.ts';
import { isPlaceholder, looksLikePassword } from './secret-value.ts';

/** How far behind the command's name its password is looked for, in characters. */
const REACH = 320;

/** A command or keyword, and where the password stands behind it: the last group. */
interface CommandRule {
  readonly commands: readonly string[];
  readonly password: RegExp;
}

const RULES: readonly CommandRule[] = [
  // mysql -u root -pSECRET, mysqldump, mariadb-admin, sshpass -p SECRET
  { commands: ['mysql', 'mariadb', 'sshpass'], password: /\s-p ?['"]?([^\s'"]{4,64})/ },
  {
    commands: [
      'docker login',
      'podman login',
      'registry login',
      'az login',
      'oc login',
      'cf login',
    ],
    password: /\s-p[ =]?['"]?([^\s'"]{4,256})/,
  },
  // net use x: \\host\share /user:ann SECRET, net user ann SECRET /add
  {
    commands: ['net use', 'net user'],
    password:
      /^net (?:use\s.{0,120}?\/user:\S{1,64}|user\s{1,4}\S{1,64})\s{1,4}(?![/*])([^\s'"]{4,64})/i,
  },
  {
    commands: ['htpasswd'],
    password:
      /^htpasswd\s{1,4}-\w{0,6}b\w{0,6}\s{1,4}\S{1,80}\s{1,4}\S{1,64}\s{1,4}['"]?([^\s'"]{4,64})/,
  },
  { commands: ['useradd', 'usermod'], password: /\s-p ?['"]?([^\s'"]{4,128})/ },
  { commands: ['openssl enc'], password: /\s-[kK] ?['"]?([^\s'"]{4,128})/ },
  { commands: ['zip -p', '7z a -p'], password: /^(?:zip -P ?|7z a -p)['"]?([^\s'"]{4,64})/ },
  { commands: ['requirepass', 'masterauth'], password: /^\w+\s{1,4}['"]?([^\s'"]{4,128})/ },
  { commands: ['redis-cli'], password: /\s-a ['"]?([^\s'"]{4,64})/ },
  // curl -u user:SECRET, --user, --proxy-user
  {
    commands: ['curl'],
    password: /\s(?:-u|--user|--proxy-user)[ =]?['"]?[^\s:'"]{0,64}:([^\s'"]{3,128})/,
  },
  // CREATE USER x IDENTIFIED BY 'SECRET', IDENTIFIED WITH plugin BY 'SECRET'
  {
    commands: ['identified'],
    password: /\sby\s{1,4}(?:(?:values|password)\s{1,4})?\\?['"]?([^\s'";)\\]{4,128})/i,
  },
  // WITH PASSWORD 'SECRET', SET PASSWORD FOR x = 'SECRET', PASSWORD SECRET
  {
    commands: ['password'],
    password:
      /^password\s{1,4}(?:for\s{1,4}[^\s=]{1,64}\s{0,4}=\s{0,4})?(?:password\()?n?\\?['"]([^\s'"\\]{4,128})/i,
  },
  { commands: ['password'], password: /^PASSWORD\s{1,4}([^\s'";,()=:]{6,128})/ },
  // openssl -passin pass:SECRET
  { commands: ['passin', 'passout'], password: /\spass:([^\s'":]{4,128})/ },
  {
    commands: ['convertto-securestring'],
    password: /\s(?:-string\s{1,4})?['"]([^'"\n]{4,128})/i,
  },
];

const COMMANDS: readonly string[] = [...new Set(RULES.flatMap(({ commands }) => commands))];

/**
 * Passwords in well-known command lines and SQL statements, where no name is assigned:
 * `curl -u user:…`, `mysql -p…`, `IDENTIFIED BY '…'`.
 */
export const COMMAND_LANDMARK: Landmark = {
  words: COMMANDS,
  isExact: false,
  start: ({ text }, found) => {
    const from = RULES.map(() => 0);
    return (at, command) => {
      for (const [index, rule] of RULES.entries()) {
        if (at < (from[index] as number) || !rule.commands.includes(command)) continue;
        from[index] = addPasswordAt(text, at, rule, found);
      }
    };
  },
};

/** Looks behind a command; returns where the same rule may look again. */
function addPasswordAt(
  text: string,
  at: number,
  { password }: CommandRule,
  found: Finding[],
): number {
  const secret = password.exec(lineAt(text, at));
  const end = at + (secret === null ? 0 : secret.index + secret[0].length);
  if (secret !== null) addPassword(secret[1] as string, end, found);
  // The same command again, this near, sees the same passwords.
  return password.source.startsWith('^') ? at + 1 : Math.max(end, at + REACH / 2);
}

/** The rest of a command: to the end of its line, over lines that end with a backslash. */
function lineAt(text: string, start: number): string {
  const near = text.slice(start, start + REACH);
  if (!near.includes('\n')) return near;
  const end = near.search(/[^\\]\n/);
  return end < 0 ? near : near.slice(0, end + 1);
}

function addPassword(secret: string, end: number, found: Finding[]): void {
  if (isPlaceholder(secret) || !looksLikePassword(secret, true)) return;
  found.push({ category: 'password', start: end - secret.length, end });
}
