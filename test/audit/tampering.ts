import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '../../src/audit/canonical-json.ts';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { openTrail, type Signer } from '../../src/audit/index.ts';
import { Frontier } from '../../src/audit/merkle-tree.ts';
import { splitLine, TrailHead } from '../../src/audit/sealed-line.ts';
import { signNote } from '../../src/audit/signed-note.ts';
import { makePrivateKey, parsePrivateKey } from '../../src/audit/signing-key.ts';
import type { Json } from '../../src/call.ts';
import { decision, outcome, scratchPath } from './sample-trail.ts';

const ORIGIN = 'example.com/sample';
const ROTATE_MS = 10_000;

/** A trail of three segments with a signed checkpoint over 84 entries and three more behind it. */
export interface SampleTrail {
  readonly path: string;
  readonly signer: Signer;
  /** Checkpoints over 60, 81 and 84 entries. */
  readonly middle: string;
  readonly older: string;
  readonly newest: string;
}

/** Signs a checkpoint over any size and root, as somebody with the key can. */
export function signCheckpoint(signer: Signer, size: number, root: Buffer): Promise<string> {
  return signNote(checkpointText({ origin: ORIGIN, size, root }), [signer]);
}

export const newSigner = (name: string = ORIGIN): Signer => parsePrivateKey(makePrivateKey(name));

/** Writes {@link SampleTrail} with the library itself. */
export async function makeSampleTrail(
  signer: Signer = newSigner(),
  startMs: number = Date.UTC(2026, 0, 1),
): Promise<SampleTrail> {
  const path = scratchPath();
  let now = startMs;
  const clock = () => {
    now += 1;
    return new Date(now);
  };
  const options = { path, key: signer, clock, rotateAgeMs: ROTATE_MS, compress: false };
  const appendUntil = async (sizes: readonly number[]) => {
    const trail = await openTrail(options);
    for (const size of sizes) {
      for (let seq = -1; seq < size - 1; ) ({ seq } = await trail.append(nextEntry(seq + 1)));
      now += size % 30 === 0 ? ROTATE_MS : 0;
    }
    return trail;
  };
  const note = () => readFileSync(join(path, 'checkpoint'), 'utf8');
  await (await appendUntil([30, 60])).close();
  const middle = note();
  await (await appendUntil([81])).close();
  const older = note();
  await (await appendUntil([84])).close();
  const newest = note();
  const trail = await appendUntil([87]);
  await trail.flush();
  const image = scratchPath();
  cpSync(path, image, { recursive: true });
  for (const name of readdirSync(image).filter((name) => name.startsWith('lock'))) {
    rmSync(join(image, name));
  }
  await trail.close();
  return { path: image, signer, middle, older, newest };
}

function nextEntry(seed: number) {
  const callId = `call-\u00e9-${seed}`;
  const usage = { wallMs: 1e21, cpuMs: 0, peakMemoryBytes: 9, outputBytes: 2, costUsd: 1 };
  return seed % 2 === 0 ? outcome(callId, { usage }) : decision(callId, { sentDigest: null });
}

export const segment = (path: string, number: number): string =>
  join(path, `audit-00000${number}.jsonl`);

/** One line of a trail without its link and seal: the text that a forger edits. */
export interface Body {
  readonly segment: number;
  readonly text: string;
}

export function readBodies(path: string): Body[] {
  return [1, 2, 3].flatMap((number) =>
    readFileSync(segment(path, number), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const bytes = Buffer.from(line);
        const end = splitLine(bytes, 0, bytes.length)?.bodyEnd;
        return { segment: number, text: `${bytes.toString('utf8', 0, end)}}` };
      }),
  );
}

export interface ResealOptions {
  /** Gives entries the sequence numbers of their new places. */
  readonly renumber?: boolean;
}

/** Writes bodies back with a chain, hashes and frontiers that are right; returns the tree. */
export function reseal(
  path: string,
  bodies: readonly Body[],
  options: ResealOptions = {},
): Frontier {
  const head = new TrailHead();
  const texts = new Map<number, string>();
  for (const { segment: number, text } of bodies) {
    const sealed = head.seal(adjust(text, head, options));
    texts.set(number, (texts.get(number) ?? '') + sealed.line.toString());
  }
  for (const [number, text] of texts) writeFileSync(segment(path, number), text, { mode: 0o600 });
  return head.frontier.clone();
}

function adjust(text: string, head: TrailHead, { renumber = false }: ResealOptions): string {
  const isHeader = text.includes('"type":"segment"');
  if (!isHeader && !renumber) return text;
  const entry = JSON.parse(text) as Record<string, Json>;
  const frontier = head.frontier.nodes.map((node) => node.toString('base64'));
  const header = isHeader ? { tree_size: head.size, frontier } : {};
  return canonicalJson({ ...entry, ...header, ...(renumber ? { seq: head.size } : {}) });
}

/** Rebuilds the whole trail after an edit of one body. */
export function editAndReseal(
  path: string,
  index: number,
  edit: (text: string) => string,
): Frontier {
  const bodies = readBodies(path);
  const body = bodies[index] as Body;
  const text = edit(body.text);
  if (text === body.text) throw new Error('the edit changed nothing');
  return reseal(path, bodies.with(index, { ...body, text }));
}

export function rootOfFirst(path: string, size: number): Buffer {
  const tree = Frontier.empty();
  for (const number of [1, 2, 3]) {
    for (const line of readFileSync(segment(path, number), 'utf8').split('\n').slice(0, -1)) {
      if (tree.size < size) tree.add(Buffer.from(line.slice(-66, -2), 'hex'));
    }
  }
  return tree.root();
}

/** A copy that a test may spoil. */
export function copyTrail(path: string): string {
  const copy = scratchPath();
  mkdirSync(copy);
  cpSync(path, copy, { recursive: true });
  for (const name of readdirSync(copy)) chmodSync(join(copy, name), 0o600);
  return copy;
}
