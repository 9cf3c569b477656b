// Writes docs/policy-reference.md from the schema. Run after `npm run build`:
// node test/policy/write-reference.js
import { mkdirSync, writeFileSync } from 'node:fs';
import { policyReference } from '../../dist/src/policy/policy-reference.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/policy-reference.md', policyReference());
