import { styleText } from 'node:util';
import type { Terminal } from './terminal.ts';

/** Ways in which a word may stand out. */
export type Emphasis = 'good' | 'bad' | 'warning' | 'faint' | 'strong';

/** Paints a text, where colours are wanted; else gives it back as it is. */
export type Paint = (emphasis: Emphasis, text: string) => string;

const FORMATS = {
  good: 'green',
  bad: 'red',
  warning: 'yellow',
  faint: 'gray',
  strong: 'bold',
} as const;

/**
 * Colours for one of the two streams: only on a terminal that is not dumb, and never when `NO_COLOR`
 * is set to anything but nothing.
 *
 * @see https://no-color.org
 */
export function painter(
  { env, isOutTerminal, isErrTerminal }: Terminal,
  stream: 'out' | 'err',
): Paint {
  const isTerminal = stream === 'out' ? isOutTerminal : isErrTerminal;
  const isPlain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  if (!isTerminal || isPlain) return (_, text) => text;
  // What is not asked for is not looked at: the stream was judged above.
  return (emphasis, text) => styleText(FORMATS[emphasis], text, { validateStream: false });
}
