import { styleText } from 'node:util';
import type { Terminal } from './terminal.ts';

const STYLES = { good: 'green', bad: 'red', odd: 'yellow', bold: 'bold' } as const;

/** Colours a text, or leaves it as it is. */
export type Paint = (tone: keyof typeof STYLES | 'plain', text: string) => string;

/**
 * Colours where stdout is a terminal that has them and nobody asked for none.
 *
 * @see https://no-color.org: any value but an empty one
 */
export function painter({ env, isOutTerminal }: Pick<Terminal, 'env' | 'isOutTerminal'>): Paint {
  const isPlain = !isOutTerminal || isSet(env['NO_COLOR']) || env['TERM'] === 'dumb';
  // The stream of this process says nothing about the terminal that was passed in.
  const style = (tone: keyof typeof STYLES, text: string): string =>
    styleText(STYLES[tone], text, { validateStream: false });
  return (tone, text) => (isPlain || tone === 'plain' ? text : style(tone, text));
}

const isSet = (value: string | undefined): boolean => value !== undefined && value !== '';
