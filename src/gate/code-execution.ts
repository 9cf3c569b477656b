/**
 * True when a text would run code if it reached an interpreter or a template engine: calls that
 * start processes or evaluate text, walks to a runtime's internals, template expressions that call.
 */
export function hasCodeExecution(text: string): boolean {
  if (!/[(.{`]|<[?%!]/.test(text)) return false;
  return SIGNATURES.some((signature) => signature.test(text)) || hasActiveTemplate(text);
}

const SIGNATURES: readonly RegExp[] = [
  // Evaluation. Not as a method (`regex.exec(`), not as part of a name.
  /(?<![.\w$])(?:eval|exec|execfile|assert)(?:\(\s{0,4}[\w'"`$(@]|\s{1,4}\(\s{0,4}['"`$(@])/,
  /(?<![.\w$])(?:new\s{1,4})?Function\s{0,4}\(\s{0,4}['"`]/,
  /(?<![.\w$])compile\s{0,4}\([^\n]{0,200}['"](?:exec|eval)['"]/,
  /\b(?:setTimeout|setInterval)\s{0,4}\(\s{0,4}['"`]/,
  // Processes.
  /\bos\s{0,4}\.\s{0,4}(?:system|popen[23]?|startfile|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?)\s{0,4}\(/,
  /(?<![\w$])(?:exec[lv]p?e?|spawn[lv]p?e?|popen[234]?)\s{0,4}\(/,
  /\bsubprocess\s{0,4}\.\s{0,4}(?:call|run|Popen|check_call|check_output|getoutput|getstatusoutput)\s{0,4}\(/,
  /\bsubprocess\b[^\n]{0,80}\bshell\s{0,4}=\s{0,4}True/,
  /\b(?:call|run|Popen|check_call|check_output)\s{0,4}\([^\n]{0,200}\bshell\s{0,4}=/,
  /\bcommands\.get(?:status)?output\b/,
  /\bchild_process\b/,
  /(?<![.\w$])(?:system|shell_exec|passthru|proc_open|pcntl_exec|popen)\s{0,4}\(\s{0,4}['"`$\\]/,
  /\b(?:exec|spawn|fork)(?:File)?Sync\s{0,4}\(/,
  /\b(?:Runtime\s{0,4}\.\s{0,4}getRuntime|ProcessBuilder|Process\.Start|ScriptEngineManager)\b/,
  /\b(?:IO|Kernel|Open3|PTY)\s{0,4}\.\s{0,4}(?:popen|system|exec|spawn|capture[23e]?)/,
  /\.exec_command\s{0,4}\(|\.invoke_shell\s{0,4}\(/,
  /["'\]]\s{0,4}\.execute\s{0,4}\(\s{0,4}\)/,
  // Loading what was not there.
  /(?<![\w$])__import__\s{0,4}\(|\bimportlib\s{0,4}\.\s{0,4}import_module\b/,
  /\b(?:c?[pP]ickle|marshal|shelve|dill|jsonpickle)\s{0,4}\.\s{0,4}(?:loads?|Unpickler|decode)\b/,
  /\byaml\s{0,4}\.\s{0,4}(?:unsafe_load|load|full_load)\s{0,4}\(/,
  /\bprocess\s{0,4}\.\s{0,4}(?:mainModule|binding|dlopen)\b/,
  /\brequire\s{0,4}\(\s{0,4}['"](?:node:)?(?:child_process|vm|fs|net|worker_threads)['"]/,
  /\bjava\.lang\.(?:Runtime|ProcessBuilder|Thread|Class|System|reflect)\b|\bforName\s{0,4}\(/,
  /\bgetClass\s{0,4}\(\s{0,4}\)|\bgetMethod\s{0,4}\(|\bgetDeclared\w{1,20}\s{0,4}\(|\.newInstance\s{0,4}\(/,
  // Walks to the internals of a runtime.
  /__(?:globals|builtins|subclasses|mro|bases|getattribute|reduce|reduce_ex)__/,
  /__(?:class|init|base)__\s{0,4}\.\s{0,4}__/,
  /\bconstructor\s{0,4}(?:\.|\[['"])\s{0,4}constructor\b|\bconstructor\s{0,4}\(\s{0,4}['"`]/,
  // Code in a document.
  /<\?(?:php|=)[^>]{0,80}[(`]/i,
  /<%[=@]?[^>]{0,40}(?:\(|`|\bsystem\b|\bexec\b)/,
  /<!--\s{0,4}#\s{0,4}exec\b/i,
  /^\s{0,8}`[^`\n]{2,200}`\s{0,8}$|%x[({[][^)}\]\n]{1,200}[)}\]]/,
  /\b(?:freemarker\.template\.utility\.Execute|OgnlContext|ognl\.|MemberAccess|SpringEL)\b/,
];

/** `{{ … }}`, `${ … }`, `{% … %}` and their like, with a call, arithmetic or a filter that calls. */
function hasActiveTemplate(text: string): boolean {
  let openers = 0;
  for (const { index, 0: opener } of text.matchAll(OPENER)) {
    openers += 1;
    if (openers > OPENERS_MAX) return true;
    const end = text.indexOf(CLOSERS[opener.at(-1) ?? ''] ?? '}', index + opener.length);
    if (end === -1 || end - index > TEMPLATE_LENGTH_MAX) continue;
    const expression = text.slice(index, end + 1);
    if (ACTIVE.some((sign) => sign.test(expression))) return true;
  }
  return false;
}

const OPENER = /\{\{|[$#*@~]\{|\{%|<#|\[\[|@\(/g;
const CLOSERS: Readonly<Record<string, string>> = {
  '{': '}',
  '%': '%}',
  '#': '>',
  '[': ']',
  '(': ')',
};
const TEMPLATE_LENGTH_MAX = 1000;

/** More expressions than this is no template that anybody wrote. */
const OPENERS_MAX = 2000;

const ACTIVE: readonly RegExp[] = [
  /\d\s{0,4}[*/]\s{0,4}['"]?\d/,
  /\|\s{0,4}(?:map|filter|sort|reduce|attr|join|passthru|system|exec)\b[^|]{0,80}[('"]/,
  /\bT\s{0,4}\(\s{0,4}\w{1,30}\./,
  /(?:system|popen|exec|eval|include|require|import|getRuntime|getClass|print|assign|fetch|file|read|open|write)\s{0,4}[('"]/i,
  /\b(?:self|cycler|joiner|namespace|lipsum|request|config|session|application|_self|this|root|global|process)\b\s{0,4}(?:\.|\[|\()/,
  /\bnew\s{1,4}\w{2,40}|new\/\*\*\//,
];
