import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRoot, type Launch, lacks, launch, OTHER_USER } from './launched-program.ts';

// Programs as tools under `compat` and Landlock: as another user at `hardened`, and with the filter of
// `isolated` as any user.

let scratch: string;
beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'commands-')));
  chmodSync(scratch, 0o755);
  if (isRoot) chownSync(scratch, OTHER_USER.uid, OTHER_USER.gid);
});
afterEach(() => rmSync(scratch, { recursive: true }));

const user = isRoot ? { table: { identity: OTHER_USER } } : {};
const WAYS: Record<string, { needsRoot: boolean; options: Partial<Launch> }> = {
  'as another user': {
    needsRoot: true,
    options: { ...user, situation: { sameUid: false, exec: 'any' } },
  },
  'with the filter of `isolated`': {
    needsRoot: false,
    options: { ...user, situation: { tier: 'isolated', exec: 'any' } },
  },
  'with the filter of `isolated` and no list': {
    needsRoot: false,
    options: { ...user, profile: 'off', situation: { tier: 'isolated', exec: 'any' } },
  },
};

function command(argv: readonly [string, ...string[]], options: Partial<Launch>) {
  return launch({
    argv,
    profile: 'compat',
    cwd: scratch,
    ...options,
    env: { HOME: scratch, TMPDIR: scratch, GIT_CONFIG_NOSYSTEM: '1', ...options.env },
    landlock: { write: [scratch], execute: ['/usr/bin', '/usr/lib'], ...options.landlock },
  });
}

const absent = (program: string) => lacks(program, existsSync(`/usr/bin/${program}`));

describe.each(Object.entries(WAYS))('%s', (_, { needsRoot, options }) => {
  const skip = needsRoot && lacks('root', isRoot);

  test.skipIf(skip || absent('python3'))('python3 works', async () => {
    const tool = join(scratch, 'everyday.py');
    copyFileSync('test/fixtures/tools/everyday.py', tool);
    const { stdout, stderr, exitCode } = await command(['/usr/bin/python3', tool], options);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { socket, ...results } = JSON.parse(stdout) as Record<string, string>;
    expect(new Set(Object.values(results))).toEqual(new Set(['ok']));
    expect(socket).toBe('OSError 97');
  });

  test.skipIf(skip || absent('bash'))('bash works', async () => {
    const script = `
      set -euo pipefail
      f() { local x=$1; echo "$((x * 2))"; }
      test "$(f 21)" = 42
      diff <(echo a) <(echo a)
      seq 1 100 | xargs -P 4 -n 10 echo | sort | wc -l
      cat <<< 'here' > here.txt; chmod 600 here.txt; touch -d 2001-01-01 here.txt; cp -p here.txt copy.txt
      tar cf a.tar here.txt copy.txt && mkdir x && tar xf a.tar -C x && ls x | wc -l
      timeout 5 sleep 0.01; (sleep 0.01 & wait); trap 'echo trapped' USR1; kill -USR1 $$
      nice -n 5 true; sed -i s/here/there/ here.txt; grep -c there here.txt; find . -name '*.txt' | wc -l
      mkfifo pipe; (echo through > pipe &); read -r line < pipe; echo "$line"; ulimit -c; nohup true 2> /dev/null
      setsid true`;
    // With a socket for stdin, Debian's bash takes itself for one behind rshd and reads bash.bashrc.
    const env = { SHLVL: '1' };
    const argv = ['/usr/bin/bash', '-c', script] as const;
    const { stdout, stderr, exitCode } = await command(argv, { ...options, env });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout.trim().split(/\s+/)).toEqual(['10', '2', 'trapped', '1', '4', 'through', '0']);
  });

  test.skipIf(skip || absent('git'))('git works', async () => {
    const script = `set -e
      export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
      git init -q -b main one; cd one; echo x > f; git add f; git commit -q -m first
      git branch other; git checkout -q other; echo y >> f; git commit -qam second; git checkout -q main
      git merge -q other; git gc -q; cd ..; git clone -q one two; cd two; git log --format=%s; git status --short; git fsck 2>&1`;
    const { stdout, stderr, exitCode } = await command(['/usr/bin/sh', '-c', script], options);
    expect({ exitCode, stderr, stdout }).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: 'second\nfirst\n',
    });
    expect(readFileSync(join(scratch, 'two', 'f'), 'utf8')).toBe('x\ny\n');
  });

  test.skipIf(skip || absent('curl'))('curl works with a network, and only then', async () => {
    const server = createServer((_request, response) => response.end('from the server'));
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as AddressInfo;
    const argv = ['/usr/bin/curl', '-sS', `http://127.0.0.1:${port}/`] as const;
    const open = { ...options.situation, network: 'unrestricted' as const };
    const connected = await command(argv, {
      ...options,
      situation: open,
      landlock: { denyTcpAndUdp: false },
    });
    expect(connected).toMatchObject({ exitCode: 0, stdout: 'from the server', stderr: '' });
    const cut = await command(argv, options);
    expect(cut).toMatchObject({ exitCode: 7, stdout: '' });
    server.closeAllConnections();
    server.close();
  });
});

test('the programs work without us', () => {
  for (const program of ['python3', 'bash', 'git', 'curl']) {
    if (absent(program)) continue;
    expect(spawnSync(`/usr/bin/${program}`, ['--version']).status).toBe(0);
  }
});
