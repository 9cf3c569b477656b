// What hostile arguments cost at a decision, with every kind of rule at once.
import { compilePolicy, decide } from '../../dist/src/gate/index.js';
import { loadPolicy } from '../../dist/src/policy/index.js';
import { EMPTY_HISTORY } from '../../dist/src/usage/index.js';
import { report } from './rows.js';

const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

function requestFor(tool, args) {
  const call = { tool, args, context: { agent: 'a' } };
  return {
    call,
    redactedArgs: args,
    target: null,
    killSwitch: null,
    history: EMPTY_HISTORY,
    now: 0,
  };
}

function microsecondsOf(policy, request, calls) {
  const started = performance.now();
  for (let index = 0; index < calls; index++) decide(policy, request);
  return ((performance.now() - started) * 1000) / calls;
}

const hostile = compilePolicy(
  await loadPolicy({
    name: 'hostile',
    content_rules: {
      block_patterns: [
        { name: 'p', pattern: 'prod-db' },
        { name: 'q', pattern: 'a.*z{2}' },
      ],
    },
    network: { allowed_domains: ['a.com'] },
    conditions: ['!has(args.data) || args.data.matches("^a.*b$") || true'],
    tools: { t: { args: { command: 'command', path: 'path', sql: 'sql', url: 'url' } } },
  }),
);
// biome-ignore format: one piece of text a word
const PIECES = ['a', '../', '.', '%', '%2', '&#', '; ', '| a', "'", "' or ", '(', '$(', '{{', '${', '\\', '\\x2', 'a@b.', 'a:', 'http:', 'http://a ', '<?php ', '<%', '-- ', '/', '/*', '\n', ' ', 'select ', 'union ', 'a.b.c.', '%e0%80', 'curl ', '{"a":[1]},', 'exec (', '`a ', 'abc://', 'nc - ', 'é', 'ｅ', '\t'];
const LENGTHS = { data: 131_000, path: 131_000, sql: 131_000, url: 131_000, command: 16_000 };
const asMany = (piece) => times(5000, (index) => `${piece.repeat(20).slice(0, 20)}${index}`);
const inMany = PIECES.map((piece) => {
  const call = requestFor('t', { data: asMany(piece) });
  const ms = Math.min(...times(3, () => microsecondsOf(hostile, call, 1))) / 1000;
  return { piece, name: '5,000 texts of data', length: 120_000, ms };
});
const worst = PIECES.flatMap((piece) =>
  [...Object.entries(LENGTHS), ['data', 1_000_000]].map(([name, length]) => {
    const text = piece.repeat(Math.ceil(length / piece.length)).slice(0, length);
    const call = requestFor('t', { [name]: text });
    const ms = Math.min(...times(3, () => microsecondsOf(hostile, call, 1))) / 1000;
    return { piece, name, length, ms };
  }),
)
  .concat(inMany)
  .sort((a, b) => b.ms - a.ms);
for (const { piece, name, length, ms } of worst.slice(0, 5)) {
  console.log(`  ${ms.toFixed(1)} ms  ${length} characters of ${JSON.stringify(piece)} as ${name}`);
}
const [{ piece, name, length, ms }] = worst;
report([
  {
    what: 'the slowest decision over 1 MB of hostile arguments, every rule on',
    value: ms,
    unit: 'ms',
    target: 50,
    bound: 'max',
    detail: `${length} characters of ${JSON.stringify(piece)} as ${name}; best of three, ${worst.length} texts tried`,
    doesNotShow: 'texts that nobody thought of',
  },
]);
