import { resolve } from 'node:path';
import {
  createEnforcer,
  EnforceError,
  type Explanation,
  loadSettings,
  type Tier,
} from '../index.ts';
import { EXIT } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** Options of the command. */
export interface ExplainFlags {
  readonly policy?: string;
  readonly name?: string;
  readonly isolation?: string;
  readonly json?: boolean;
}

/** What the command line said. */
export interface ExplainInput {
  readonly tool: string | undefined;
  readonly command: readonly string[] | null;
  readonly options: ExplainFlags;
}

/** `enforcecore explain`: tier, layers, limits, files and system calls of a call, which is not made. */
export async function explain(
  { tool, command, options }: ExplainInput,
  terminal: Terminal,
): Promise<number> {
  const [program, ...words] = command ?? [];
  const target = program === undefined ? tool : { command: [program, ...words] as const };
  if (target === undefined) {
    throw new EnforceError('ENF_CLI_USAGE', 'give the path of a tool, or a command after `--`');
  }
  const settings = await loadSettings({ env: terminal.env, cwd: terminal.cwd });
  const enforcer = await createEnforcer({
    ...(options.policy === undefined ? {} : { policy: resolve(terminal.cwd, options.policy) }),
    settings,
    pool: false,
  });
  try {
    const explanation = await enforcer.explain(target, {
      ...(options.name === undefined ? {} : { tool: options.name }),
      ...(options.isolation === undefined ? {} : { isolation: options.isolation as Tier }),
    });
    terminal.out(options.json === true ? `${JSON.stringify(explanation)}\n` : text(explanation));
    return explanation.refusal === null ? EXIT.ok : EXIT.isolation;
  } finally {
    await enforcer.close();
  }
}

function text({ tool, tier, layers, unenforced, refusal, limits, sections }: Explanation): string {
  const list = (items: readonly string[]): string =>
    items.length === 0 ? 'none' : items.join(', ');
  const head = [
    `tool        ${tool}`,
    `tier        ${tier}`,
    `layers      ${list(layers)}`,
    `unenforced  ${list(unenforced)}`,
    ...(refusal === null ? [] : [`refused     ${refusal}`]),
    ...Object.entries(limits).map(([name, value]) => `${name.padEnd(17)} ${value}`),
  ];
  const parts = sections.map(
    ({ title, lines }) => `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`,
  );
  return `${head.join('\n')}\n${parts.join('')}`;
}
