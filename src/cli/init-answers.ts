import { createInterface } from 'node:readline';
import { EnforceError, isEnforceError } from '../errors.ts';
import { parseDuration, parseSize } from './quantity.ts';
import type { Terminal } from './terminal.ts';

/** What `init` needs to know. */
export interface InitAnswers {
  /** Whom the policy is for, one line. */
  readonly purpose: string;
  /** Domains that tools may connect to; none: no network. */
  readonly domains: readonly string[];
  /** Folder that tools may write to, as given; null: none. */
  readonly writeFolder: string | null;
  readonly redactsPersonalData: boolean;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
}

/** What holds where nothing is asked. */
export const DEFAULT_ANSWERS: InitAnswers = {
  purpose: 'tools of an AI agent',
  domains: [],
  writeFolder: null,
  redactsPersonalData: true,
  timeoutMs: 30_000,
  memoryBytes: 256 * 2 ** 20,
};

/** A question is asked again after an answer that cannot be one, so often. */
const ATTEMPTS_MAX = 5;
const ANSWER_CHARS_MAX = 1000;

/**
 * Asks on stderr, reads lines from stdin.
 *
 * @throws {EnforceError} `ENF_CLI_USAGE` when the answers end too early, or stay unusable
 */
export async function askAnswers({ stdin, err }: Terminal): Promise<InitAnswers> {
  const reader = createInterface({ input: stdin, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  const ask = async <T>(
    question: string,
    fallback: string,
    read: (text: string) => T,
  ): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      err(`${question} [${fallback}] `);
      const { value, done } = await lines.next();
      if (done === true) {
        throw usage('the answers ended before the questions; `--yes` asks none');
      }
      try {
        return read(value.trim().slice(0, ANSWER_CHARS_MAX) || fallback);
      } catch (cause) {
        if (!isEnforceError(cause) || attempt >= ATTEMPTS_MAX) throw cause;
        err(`${cause.message}\n`);
      }
    }
  };
  try {
    const purpose = await ask('What are the tools for?', DEFAULT_ANSWERS.purpose, String);
    const hasNetwork = await ask('May tools use the network? y/n', 'n', yesOrNo);
    const domains = hasNetwork
      ? await ask('Which domains? Separated by commas; *.example.org for all below', '*', asList)
      : [];
    const folder = await ask('Which folder may tools write to?', 'none', String);
    return {
      purpose,
      domains,
      writeFolder: folder === 'none' ? null : folder,
      redactsPersonalData: await ask('Redact personal data and secrets? y/n', 'y', yesOrNo),
      timeoutMs: await ask('How long may a call take?', '30s', (text) =>
        parseDuration(text, 'time'),
      ),
      memoryBytes: await ask('How much memory may it use?', '256mb', (text) =>
        parseSize(text, 'memory'),
      ),
    };
  } finally {
    reader.close();
  }
}

function yesOrNo(text: string): boolean {
  if (/^(y|yes)$/i.test(text)) return true;
  if (/^(n|no)$/i.test(text)) return false;
  throw usage('answer y or n');
}

function asList(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((domain) => domain !== '');
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', message);
}
