// What a call of a function of this process costs: decide, redact, two entries of the trail.
//
// The other side is the Python EnforceCore's own benchmark, end to end, as it was measured on the
// development machine (median 0.064 ms; 0.124 ms with personal data in the text): that program is not
// run here, so on another machine only our own figures mean something.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEnforcer } from '../../dist/src/index.js';
import { percentile, report } from './rows.js';

const CALLS = 20_000;
const WARM_UP = 5_000;
const SHARE_OF_PYTHON = 0.6;
const TEXTS = {
  'a text of 130 characters': {
    text: 'Please write a short summary of the order that was placed last week in the shop and send it to the customer by the end of today, ok',
    pythonMs: 0.064,
  },
  'a text of 130 characters with an e-mail address and a phone number': {
    text: 'Please write to jane.roe@example.com or call +1 415 555 2671 about the order that was placed last week in the shop, thanks a lot for it',
    pythonMs: 0.124,
  },
};

const folder = mkdtempSync(join(tmpdir(), 'bench-call-'));
const policy = {
  name: 'bench',
  allowed_tools: ['search', 'fetch_*'],
  denied_tools: ['execute_shell'],
  pii_redaction: { strategy: 'placeholder' },
};
const enforcer = await createEnforcer({ policy, audit: { path: join(folder, 'audit') } });
const trusted = ['memory', 'cpu', 'processes', 'files', 'environment', 'network', 'isolation'];
const search = enforcer.wrap('search', async (text) => text.length, { trusted });

const rows = [];
for (const [name, { text, pythonMs }] of Object.entries(TEXTS)) {
  for (let call = 0; call < WARM_UP; call += 1) await search(text);
  const times = [];
  for (let call = 0; call < CALLS; call += 1) {
    const began = performance.now();
    await search(text);
    times.push(performance.now() - began);
  }
  const [p50, p99] = [0.5, 0.99].map((share) => percentile(times, share));
  rows.push({
    what: `a call in process, ${name}, against the Python EnforceCore's`,
    value: p50 / pythonMs,
    unit: 'x',
    target: SHARE_OF_PYTHON,
    bound: 'max',
    detail: `p50 ${(p50 * 1000).toFixed(0)} µs, p99 ${(p99 * 1000).toFixed(0)} µs; Python ${pythonMs * 1000} µs, measured once`,
    doesNotShow:
      'calls in parallel; other durability levels than `os`; the Python side is not run again',
  });
}
report(rows);
await enforcer.close();
rmSync(folder, { recursive: true });
