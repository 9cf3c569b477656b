/**
 * True when a text leaves the folder it is meant for, or names a file of the system.
 *
 * @param isPath - the argument is a path; otherwise a text of several words is read more leniently,
 *   because code and prose mention `../` and `/etc/hosts`
 */
export function hasPathTraversal(text: string, isPath: boolean): boolean {
  if (!/[./\\]|2e|2f|5c|%/i.test(text)) return false;
  const path = plainPath(text);
  if (CLIMB_FAR.test(path) || DOT_RUN.test(path)) return true;
  if (!isPath && !looksLikeOnePath(path)) return false;
  return CLIMB.test(path) || isSystemPath(path);
}

/** No white space, or the spaces of a path such as `C:\\Program Files\\…`. */
function looksLikeOnePath(text: string): boolean {
  const trimmed = text.trim();
  if (!/\s/.test(trimmed)) return true;
  return trimmed.length <= 256 && /^(?:[a-z]:)?[/\\][^\n\r]*$/i.test(trimmed);
}

/** One step up as a whole component. */
const CLIMB = /(?:^|[/\\:;=?&,'"(|@\s])\.\.(?:[/\\]|$)|\.\.[/\\]{1,4}/;

/** Two steps up in a row, whatever slashes lie between: no sentence has that. */
const CLIMB_FAR = /\.\.[/\\]{1,8}(?:\.[/\\]{1,8}){0,4}\.\./;

/** `./././.` confuses filters and serves nothing else. */
const DOT_RUN = /(?:\.[/\\]{1,4}){5}/;

/** The odd encodings of dots and slashes that lenient decoders accept, as plain ones. */
function plainPath(text: string): string {
  return (
    text
      .replace(/\0/g, '')
      .replace(/%00|%u0000/gi, '')
      .replace(/%c[01]%(?:ae|2e|6e|fe|be)/gi, '.')
      .replace(/%c[01]%[0-9a-z]{2}/gi, '/')
      // Private-use characters stand where a broken code page had a slash.
      .replace(/[\ue000-\uf8ff]/g, '/')
      .replace(/0x2e/gi, '.')
      .replace(/0x(?:2f|5c)/gi, '/')
      .replace(/(\.\.)%?(?:25)?(?:2f|5c)/gi, '$1/')
      .replace(/(?:2e){2}(?=[/\\])/gi, '..')
  );
}

const SYSTEM_FOLDER =
  /^(?:[a-z]:)?[/\\]{0,4}(?:etc|proc|sys|boot|root|windows|winnt|inetpub|documents and settings|var[/\\](?:log|run|spool|mail|adm|www|lib[/\\](?:mysql|mlocate|pgsql))|usr[/\\](?:local[/\\])?(?:etc|sbin|pkg)|private[/\\]etc)(?:[/\\]|$)/i;

const DEVICE = /^[/\\]dev[/\\](?!null$|stdin$|stdout$|stderr$|urandom$|zero$|fd[/\\])/i;

/** Folders of the system and of servers, in which settings and logs lie. */
const SERVER_FOLDER =
  /^(?:[a-z]:)?[/\\]{1,4}(?:usr|opt|var|bin|sbin|lib|program files(?: \(x86\))?|programdata|xampp|wamp|lampp|mysql|apache\d?|php\d?|nginx|logs?|volumes|web|www)(?:[/\\]|$)/i;

const SETTING_OR_LOG =
  /[/\\.](?:conf|ini|cnf|logs?|config|htaccess|htpasswd|htgroup|inc|pl)$|[/\\]logs?[/\\]|_log$/i;

const SECRET_FILE =
  /(?:^|[/\\])(?:boot\.ini|win\.ini|system\.ini|my\.ini|my\.cnf|php\.ini|httpd\.conf|ftpd?\.conf|shadow|id_rsa|id_dsa|id_ed25519|authorized_keys|\.bash_history|\.htpasswd|\.htaccess|\.ssh|\.aws|sam|ntuser\.dat|web\.config|wp-config\.php|global\.asa)(?:$|[/\\?#;:.])/i;

const NAMED =
  /[/\\](?:etc[/\\](?:passwd|shadow|group|hosts|issue|motd|mtab|fstab)|windows[/\\]|winnt[/\\]|proc[/\\](?:self|\d{1,7})[/\\]|boot\.ini|win\.ini)/i;

/** An absolute path into the system, or a file that holds its secrets and settings. */
function isSystemPath(path: string): boolean {
  const plain = path
    .trim()
    .replace(/[/\\](?:\.?[/\\])+/g, '/')
    .replace(/^\.?\\?\//, '/');
  const scheme = /^(?:file|php|zip|expect|phar):\/\//i.test(path);
  return (
    scheme ||
    (SERVER_FOLDER.test(plain) && SETTING_OR_LOG.test(plain)) ||
    [SYSTEM_FOLDER, DEVICE, SECRET_FILE, NAMED].some((sign) => sign.test(plain))
  );
}
