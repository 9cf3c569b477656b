// What a large policy costs at a decision, against a small one. Hostile arguments are measured by
// hostile-decisions.js.
import { compilePolicy, decide } from '../../dist/src/gate/index.js';
import { loadPolicy } from '../../dist/src/policy/index.js';
import { EMPTY_HISTORY } from '../../dist/src/usage/index.js';
import { median, report } from './rows.js';

const ROUNDS = 15;
const CALLS = 2000;
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/** `rules` spread over five kinds: denied tools, tool conditions, patterns, domains, rates. */
function documentOf(tools, rules) {
  const each = Math.ceil(rules / 5);
  return {
    name: 'bench',
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

const args = { n: 1, url: 'https://a.d1.com/x', note: 'The quick brown fox jumps', list: ['a'] };
const request = {
  call: { tool: 'tool_1', args, context: { agent: 'a' } },
  redactedArgs: args,
  target: null,
  killSwitch: null,
  history: EMPTY_HISTORY,
  now: 0,
};
const policies = {
  large: compilePolicy(await loadPolicy(documentOf(10_000, 1000))),
  small: compilePolicy(await loadPolicy(documentOf(10, 10))),
};

function microsecondsOf(policy) {
  const began = performance.now();
  for (let call = 0; call < CALLS; call += 1) decide(policy, request);
  return ((performance.now() - began) * 1000) / CALLS;
}

for (const policy of Object.values(policies)) microsecondsOf(policy);
const rounds = times(ROUNDS, () => ({
  large: microsecondsOf(policies.large),
  small: microsecondsOf(policies.small),
}));
const of = (side) => median(rounds.map((round) => round[side]));
report([
  {
    what: 'decide under 10,000 tools and 1,000 rules, against 10 and 10',
    value: median(rounds.map(({ large, small }) => large / small)),
    unit: 'x',
    target: 2,
    bound: 'max',
    detail: `${of('large').toFixed(1)} µs against ${of('small').toFixed(1)} µs`,
    doesNotShow: 'the time to load such a policy; arguments that are long or hostile',
  },
]);
