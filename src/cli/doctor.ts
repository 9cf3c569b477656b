import { describeHost, type LayerSupport } from '../index.ts';
import { EXIT } from './exit-code.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** `enforcecore doctor`: every layer, found by trying it; with cause and remedy where it fails. */
export async function doctor(
  { json }: { readonly json?: boolean },
  terminal: Terminal,
): Promise<number> {
  const layers = await describeHost();
  if (json === true) terminal.out(`${JSON.stringify(layers)}\n`);
  else for (const layer of layers) terminal.out(describe(layer));
  return EXIT.ok;
}

function describe({ layer, works, detail, cause, remedy }: LayerSupport): string {
  const head = `${works ? 'works' : 'no   '}  ${layer}${detail === undefined ? '' : `: ${detail}`}`;
  const why = cause === undefined ? [] : [`       cause: ${cause}`];
  const what = remedy === undefined ? [] : [`       remedy: ${remedy}`];
  return `${[head, ...why, ...what].map((line) => line.slice(0, 7) + oneLine(line.slice(7))).join('\n')}\n`;
}
