// Measures decisions: 10,000 tools and 1,000 rules against 10 and 10, and hostile arguments under
// every rule at once. Run after `npm run build`: node test/gate/measure-decide.js
import { compilePolicy, decide } from '../../dist/src/gate/index.js';
import { loadPolicy } from '../../dist/src/policy/index.js';
import { EMPTY_HISTORY } from '../../dist/src/usage/index.js';

const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** `rules` spread over five kinds: denied tools, tool conditions, patterns, domains, rates. */
function documentOf(tools, rules) {
  const each = Math.ceil(rules / 5);
  return {
    name: 'measure',
    allowed_tools: times(tools, (i) => `tool_${i}`),
    denied_tools: times(each, (i) => `bad_${i}`),
    tools: Object.fromEntries(times(each, (i) => [`tool_${i}`, { conditions: ['args.n < 5.0'] }])),
    content_rules: {
      block_patterns: times(each, (i) => ({ name: `p${i}`, pattern: `(?i)secret-${i}\\s+x` })),
    },
    network: { allowed_domains: times(each, (i) => `*.d${i}.com`) },
    rate_limits: Object.fromEntries(
      times(each, (i) => [`tool_${i}`, { max_calls: 9, window_seconds: 1 }]),
    ),
  };
}

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

const small = compilePolicy(await loadPolicy(documentOf(10, 10)));
const large = compilePolicy(await loadPolicy(documentOf(10_000, 1000)));
const args = {
  n: 1,
  url: 'https://a.d1.com/x',
  note: 'The quick brown fox jumps',
  list: ['a', 'b'],
};
const request = requestFor('tool_1', args);
const rounds = times(9, () => [
  microsecondsOf(large, request, 2000),
  microsecondsOf(small, request, 2000),
]);
const [largeUs, smallUs] = [0, 1].map((side) => median(rounds.map((round) => round[side])));
console.log(`10,000 tools and 1,000 rules: ${largeUs.toFixed(1)} µs`);
console.log(`10 tools and 10 rules:        ${smallUs.toFixed(1)} µs`);
console.log(`ratio ${(largeUs / smallUs).toFixed(2)}, target <= 2`);

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
console.log('slowest decisions over hostile texts, every rule on, target <= 50 ms:');
for (const { piece, name, length, ms } of worst.slice(0, 5)) {
  console.log(`  ${ms.toFixed(1)} ms  ${length} characters of ${JSON.stringify(piece)} as ${name}`);
}
