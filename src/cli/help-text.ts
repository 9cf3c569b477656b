/** What a command's help says besides its arguments and options. */
export interface HelpNotes {
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** Shape of what `--json` prints. Stable: keys are added, never renamed. */
  readonly json?: string;
  /** `0 valid, 1 invalid`. */
  readonly exitCodes?: string;
  /** Further lines, as they are. */
  readonly notes?: string;
}

/** The end of a command's help. */
export function helpText({ examples, json, exitCodes, notes }: HelpNotes): string {
  const parts = [
    `Examples:\n${examples.map((line) => `  ${line}`).join('\n')}`,
    ...(notes === undefined ? [] : [notes.trim()]),
    ...(json === undefined ? [] : [`With --json: ${json.trim()}`]),
    ...(exitCodes === undefined ? [] : [`Exit codes: ${exitCodes}.`]),
  ];
  return `\n${parts.join('\n\n')}`;
}
