// `npm run demo`: real tools, through the real command line, under examples/demo-policy.yaml.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const cli = here('../bin/enforcecore.js');
const folder = mkdtempSync(join(tmpdir(), 'enforcecore-demo-'));
const trail = join(folder, 'audit');
let failures = 0;

/** Runs the command line as a user would, and checks what it said. */
async function enforcecore(words) {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [cli, ...words], {
    reject: false,
  });
  return { exitCode, stdout, stderr };
}

async function step(title, target, args, expected) {
  const isCommand = Array.isArray(target);
  const policy = ['--policy', here('demo-policy.yaml'), '--audit', trail, '--json'];
  const input = ['--args', JSON.stringify(args)];
  const words = isCommand
    ? ['run', ...policy, ...input, '--name', 'word-count', '--', ...target]
    : ['run', target, ...policy, ...input];
  const { exitCode, stdout } = await enforcecore(words);
  const outcome = stdout === '' ? null : JSON.parse(stdout);
  const isExpected = exitCode === expected.exitCode && outcome?.status === expected.status;
  const { lines, isTrue } = expected.show(outcome ?? {});
  tell(title, isExpected && isTrue, [
    `${outcome?.status ?? 'no outcome'}, exit code ${exitCode}, ${outcome?.usage?.wallMs ?? 0} ms, tier ${outcome?.isolation?.tier}`,
    ...lines,
  ]);
}

function tell(title, isGood, lines) {
  if (!isGood) failures += 1;
  console.log(`\n${isGood ? 'ok  ' : 'FAIL'} ${title}`);
  for (const line of lines) console.log(`       ${line}`);
}

const failed = (exitCode, status) => ({
  exitCode,
  status,
  show: ({ error }) => ({ lines: [error?.message ?? ''], isTrue: true }),
});

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(
    '<html><title>Contact</title><p>Write to press@harbour-cafe.co.uk or call (415) 555-0132.</p></html>',
  );
});
await new Promise((resolve) => server.listen(0, 'localhost', resolve));
const url = `http://localhost:${server.address().port}/`;

console.log('enforcecore: tools of an agent, each in its own process, under one policy');

await step(
  'a report over customer data: personal data goes neither in nor out',
  here('tools/sales-report.mjs'),
  { question: 'What did ada.keller@northwind-shop.com buy with 4111 1111 1111 1111?' },
  {
    exitCode: 0,
    status: 'ok',
    show: ({ value, redactions, stdout }) => ({
      lines: [
        `the tool was asked: ${value?.question}`,
        `it answered: ${JSON.stringify(value?.best?.[0])}`,
        `it printed: ${stdout?.trim()}`,
        `redacted: ${redactions?.input} on the way in, ${redactions?.output} on the way out`,
      ],
      isTrue: !/[\w.]+@[\w.]+|\d{4} \d{4} \d{4}/.test(JSON.stringify([value, stdout])),
    }),
  },
);

await step(
  'a page from the network',
  here('tools/fetch-page.mjs'),
  { url },
  {
    exitCode: 0,
    status: 'ok',
    show: ({ value }) => ({
      lines: [`${value?.title}: ${value?.text}`],
      isTrue: value?.status === 200,
    }),
  },
);

// Not the first python3 in PATH: version managers put scripts there that need the user's home.
const python = await execa('/usr/bin/python3', ['-I', '-c', 'print(6*7)'], { reject: false });
const hasPython = python.stdout === '42';
const words = { text: 'the quick brown fox jumps over the lazy dog' };
const program = hasPython
  ? ['/usr/bin/python3', here('tools/word-count.py')]
  : ['sh', here('tools/word-count.sh')];
await step(`a tool in another language (${hasPython ? 'Python' : 'shell'})`, program, words, {
  exitCode: 0,
  status: 'ok',
  show: ({ value }) => ({ lines: [JSON.stringify(value)], isTrue: value?.words === 9 }),
});

writeFileSync(join(folder, 'delete-everything.mjs'), 'export default () => "never runs";');
await step(
  'a tool that the policy denies',
  join(folder, 'delete-everything.mjs'),
  {},
  failed(3, 'denied'),
);
await step('an endless loop', here('tools/endless-loop.mjs'), {}, failed(4, 'timeout'));
await step('a memory bomb', here('tools/memory-bomb.mjs'), {}, failed(4, 'out-of-memory'));
await step(
  'a tool that floods standard output',
  here('tools/flood-and-forge.mjs'),
  { forge: false },
  failed(4, 'output-too-large'),
);
await step(
  'a tool that forges the result of another call',
  here('tools/flood-and-forge.mjs'),
  { forge: true },
  failed(1, 'protocol-violation'),
);
server.close();

const intact = await enforcecore(['verify', trail]);
tell(
  'the audit trail of all this verifies',
  intact.exitCode === 0,
  intact.stdout.split('\n').slice(0, 1),
);

const copy = join(folder, 'tampered');
cpSync(trail, copy, { recursive: true });
const segment = join(copy, readdirSync(copy).find((name) => name.endsWith('.jsonl')) ?? '');
writeFileSync(
  segment,
  readFileSync(segment, 'utf8').replace('"status":"timeout"', '"status":"ok"'),
);
const tampered = await enforcecore(['verify', copy]);
tell(
  'one word changed in a copy ("timeout" to "ok") is found',
  tampered.exitCode === 1,
  tampered.stdout.split('\n').slice(0, 2),
);

rmSync(folder, { recursive: true });
console.log(
  failures === 0 ? '\nall as it should be' : `\n${failures} steps were not as they should be`,
);
process.exitCode = failures === 0 ? 0 : 1;
