// Writes docs/cli.md from the commands. Run after `npm run build`: node test/cli/write-reference.js
import { mkdirSync, writeFileSync } from 'node:fs';
import { cliReference } from '../../dist/src/cli/cli-reference.js';
import { buildProgram } from '../../dist/src/cli/commands.js';
import { processTerminal } from '../../dist/src/cli/terminal.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/cli.md', cliReference(buildProgram(null, processTerminal(), { exitCode: 0 })));
