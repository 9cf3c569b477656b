import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { editLines, firstSegment, readLinesOf, scratchPath, writeTrail } from './sample-trail.ts';
import { newSigner } from './tampering.ts';

/** The shell blocks of the guide, in order. */
const blocks = [
  ...readFileSync('docs/audit-verification.md', 'utf8').matchAll(/```sh\n(.*?)```/gs),
].map(([, block]) => block as string);
const [oneLine = '', wholeChain = '', openssl = ''] = blocks;
const hasTools =
  spawnSync('bash', ['-c', 'command -v sed sha256sum gzip xxd openssl']).status === 0;

const sh = (script: string, cwd: string) => {
  const { stdout, status } = spawnSync('bash', ['-c', script], { cwd, encoding: 'utf8' });
  return { stdout: stdout.trim(), status };
};

test.skipIf(!hasTools)(
  'the shell commands of the guide verify a trail, and find an edit',
  async () => {
    const path = scratchPath();
    await writeTrail({ path }, 3);
    const define = oneLine.split('\n')[0] as string;
    const line = `${define}\nsed -n 3p audit-000001.jsonl | hash_line`;
    expect(readLinesOf(firstSegment(path))[2]).toContain(sh(line, path).stdout);
    expect(sh(`${define}\n${wholeChain}`, path)).toEqual({ stdout: 'intact', status: 0 });
    editLines(firstSegment(path), (lines) =>
      lines.with(3, (lines[3] as string).replace('call-1', 'call-9')),
    );
    expect(sh(`${define}\n${wholeChain}`, path).status).toBe(1);
  },
);

test.skipIf(!hasTools)(
  'the OpenSSL commands of the guide verify a checkpoint, and refuse an edited one',
  async () => {
    const path = scratchPath();
    const signer = newSigner();
    await writeTrail({ path, key: signer }, 2);
    const script = openssl.replace(/VKEY='[^']*'/, `VKEY='${signer.vkey}'`);
    expect(sh(script, path)).toMatchObject({
      stdout: 'Signature Verified Successfully',
      status: 0,
    });
    const file = join(path, 'checkpoint');
    writeFileSync(file, readFileSync(file, 'utf8').replace('\n5\n', '\n4\n'));
    expect(sh(script, path).status).not.toBe(0);
  },
);
