#!/usr/bin/env node
import { main } from '../dist/src/cli/main.js';
import { processTerminal } from '../dist/src/cli/terminal.js';

process.exitCode = await main(process.argv.slice(2), processTerminal());
