import { policyJsonSchema } from '../policy/index.ts';
import type { InitAnswers } from './init-answers.ts';
import { oneLine } from './terminal.ts';

/** A file to be written, relative to the folder. */
export interface InitFile {
  readonly path: string;
  readonly text: string;
}

/** Names of what `init` writes. */
export const POLICY_FILE = 'policy.yaml';
const SCHEMA_FILE = 'enforcecore-policy.schema.json';
const TOOL_FILE = 'tools/hello.mjs';

/** A policy with its schema, and a tool that it lets run. */
export function initFiles(name: string, answers: InitAnswers): readonly InitFile[] {
  return [
    { path: POLICY_FILE, text: policyText(name, answers) },
    { path: SCHEMA_FILE, text: `${JSON.stringify(policyJsonSchema(), null, 2)}\n` },
    { path: TOOL_FILE, text: TOOL },
  ];
}

/** UNTRUSTED answers stand in quotes, where YAML reads them as JSON does. */
function policyText(name: string, answers: InitAnswers): string {
  const { purpose, redactsPersonalData, timeoutMs, memoryBytes } = answers;
  return `# yaml-language-server: $schema=./${SCHEMA_FILE}
#
# For: ${oneLine(purpose)}.
#
# Check it with    enforcecore validate --strict ${POLICY_FILE}
# Try it with      enforcecore run ${TOOL_FILE} --policy ${POLICY_FILE} --set name=World
# What a key means docs/policy-reference.md, or your editor
name: ${JSON.stringify(name)}
version: "1.0"

# The tools that may be called, by name or glob. A tool is named after its file.
allowed_tools: [hello]
denied_tools: []

# Held from outside the tool, whatever it does.
resource_limits:
  max_call_duration_seconds: ${timeoutMs / 1000}
  max_memory_mb: ${Math.max(1, Math.ceil(memoryBytes / 2 ** 20))}

${networkText(answers)}

${filesystemText(answers)}

# Replaced in arguments before a tool sees them, and in results before you do.
pii_redaction: { enabled: ${redactsPersonalData} }
secret_detection: { enabled: ${redactsPersonalData} }

# Arguments that look like attacks on a shell, a path, a database or an interpreter are denied.
content_rules: {}
`;
}

function networkText({ domains }: InitAnswers): string {
  if (domains.length === 0) {
    return '# No network, as long as nothing is said here.\n# network: { allowed_domains: [api.example.org] }';
  }
  return `# Connections to other hosts are refused.\nnetwork: { allowed_domains: [${quoted(domains)}] }`;
}

function filesystemText({ writeFolder }: InitAnswers): string {
  if (writeFolder === null) {
    return '# Tools write to a folder of their own that is gone after the call, and nowhere else.\n# filesystem: { write: [./out] }';
  }
  return `# Besides a folder of their own that is gone after the call.\nfilesystem: { write: [${quoted([writeFolder])}] }`;
}

function quoted(words: readonly string[]): string {
  return words.map((word) => JSON.stringify(word)).join(', ');
}

const TOOL = `// Says hello. A tool is a function of its arguments; what it returns is the result.
export default async function hello({ name = 'World' }, { log }) {
  log('about to say hello');
  return \`Hello, \${name}!\`;
}
`;
