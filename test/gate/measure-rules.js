// Measures the content rules on the labelled texts and tool calls of ../shared/corpora, and prints
// what was caught and what was a false alarm with 95 % intervals. Run: npm run measure:rules
// (npm run build && node test/gate/measure-rules.js). `--misses RULE` lists what got through.
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { breaksBuiltin } from '../../dist/src/gate/content-checks.js';
import { compilePolicy, decide } from '../../dist/src/gate/index.js';
import { loadPolicy } from '../../dist/src/policy/index.js';
import { EMPTY_HISTORY } from '../../dist/src/usage/index.js';

const FOLDER = new URL('../../../shared/corpora/', import.meta.url);
const RULES = ['shell_injection', 'path_traversal', 'sql_injection', 'code_execution'];
const TARGETS = { shell_injection: 75, path_traversal: 95, sql_injection: 85, code_execution: 80 };
/** The kind under which a harmless text of each sort would be declared. */
const KIND_OF = { shell_command: 'command', sql: 'sql', path: 'path' };

if (!existsSync(FOLDER)) {
  console.error('no corpora beside this checkout (../shared/corpora): nothing was measured');
  process.exit(2);
}

const rowsOf = (name) =>
  gunzipSync(readFileSync(new URL(`${name}.jsonl.gz`, FOLDER)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** Wilson's interval: sound also near 0 and 1. */
function interval(hits, total) {
  if (total === 0) return 'n/a';
  const z = 1.96;
  const rate = hits / total;
  const middle = (rate + z ** 2 / (2 * total)) / (1 + z ** 2 / total);
  const half =
    (z * Math.sqrt((rate * (1 - rate)) / total + z ** 2 / (4 * total ** 2))) / (1 + z ** 2 / total);
  const percent = (value) => (100 * value).toFixed(1);
  return `${percent(rate)} % [${percent(middle - half)}–${percent(middle + half)}] (${hits}/${total})`;
}

const content = rowsOf('content');
const listed = process.argv[process.argv.indexOf('--misses') + 1];
const misses = process.argv.includes('--misses') ? listed : null;

console.log('caught by the rule of that name, as data');
for (const rule of RULES) {
  const rows = content.filter((row) => row.rule === rule && row.label === 'positive');
  const caught = rows.filter(({ text }) => breaksBuiltin(rule, text, 'data'));
  const any = rows.filter(({ text }) => RULES.some((each) => breaksBuiltin(each, text, 'data')));
  console.log(
    `  ${rule.padEnd(16)} ${interval(caught.length, rows.length)}  by any rule ${interval(any.length, rows.length)}  target ${TARGETS[rule]} %`,
  );
  if (misses === rule)
    for (const row of rows)
      if (!caught.includes(row)) console.log('    ', JSON.stringify(row.text.slice(0, 200)));
}

console.log('false alarms, any rule, under the kind such a text is declared with');
const harmless = content.filter((row) => row.label === 'negative');
for (const sort of [...new Set(harmless.map((row) => row.kind ?? row.rule))]) {
  const rows = harmless.filter((row) => (row.kind ?? row.rule) === sort);
  const kind = KIND_OF[sort] ?? 'data';
  const alarms = rows.filter(({ text }) => RULES.some((rule) => breaksBuiltin(rule, text, kind)));
  console.log(`  ${sort.padEnd(16)} ${interval(alarms.length, rows.length)}  as ${kind}`);
  if (misses === sort) {
    for (const { text } of alarms) {
      const by = RULES.filter((rule) => breaksBuiltin(rule, text, kind));
      console.log('    ', by.join(), JSON.stringify(text.slice(0, 200)));
    }
  }
}

console.log('tool calls of agents under `content_rules: {}`');
const policy = compilePolicy(
  await loadPolicy({
    name: 'measure',
    content_rules: {},
    // The one tool of these traces that is a shell.
    tools: { TerminalExecute: { args: { command: 'command' } } },
  }),
);
for (const name of ['calls-agentdojo', 'calls-injecagent', 'calls-toolemu']) {
  const calls = rowsOf(name);
  for (const label of [...new Set(calls.map((call) => call.label))].sort()) {
    const rows = calls.filter((call) => call.label === label);
    const denied = rows.filter(({ tool, args }) => {
      const call = {
        tool: tool.replace(/[^A-Za-z0-9_.:<>/-]/g, '_') || 'unnamed',
        args,
        context: {},
      };
      const request = {
        call,
        redactedArgs: args,
        target: null,
        killSwitch: null,
        history: EMPTY_HISTORY,
        now: 0,
      };
      const decision = decide(policy, request);
      if (misses === name && decision.effect === 'deny')
        console.log(
          '    ',
          label,
          decision.reasons.map((each) => each.message).join('; '),
          JSON.stringify(args).slice(0, 200),
        );
      return decision.effect === 'deny';
    });
    console.log(
      `  ${name.padEnd(16)} ${label.padEnd(10)} denied ${interval(denied.length, rows.length)}`,
    );
  }
}
