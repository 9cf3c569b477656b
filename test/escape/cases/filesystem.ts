import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { RunReport } from '../../../src/isolation/runner.ts';
import { type Attempt, tool } from '../attempt.ts';
import { type EscapeCase, STRONG } from '../escape-case.ts';

const FILES = tool('try-files.mjs');

/** Whether the canary is anywhere in what came out of the call. */
export function leaked({ canary }: Attempt, report: RunReport): boolean {
  return JSON.stringify(report).includes(canary);
}

/** An attack that reads a secret file and gives it away. */
function reads(
  ids: EscapeCase['ids'],
  title: string,
  args: (secret: string) => Readonly<Record<string, unknown>>,
): EscapeCase {
  return {
    ids,
    title,
    claimedBy: STRONG,
    attempt: async (on) => leaked(on, await on.run(FILES, args(await on.secret()))),
  };
}

/** Names that other programs of the user would run or obey. */
const OBEYED = [
  ...['.bashrc', '.gitconfig', '.mcp.json', '.npmrc', '.git/hooks/pre-commit', '.git/config'],
  '.vscode/tasks.json',
];

function workspace(on: Attempt): string {
  const folder = on.path('work');
  mkdirSync(on.path('work', '.git', 'hooks'), { recursive: true });
  writeFileSync(on.path('work', '.git', 'config'), 'mine');
  for (const name of ['work', 'work/.git', 'work/.git/hooks']) chmodSync(on.path(name), 0o777);
  chmodSync(on.path('work', '.git', 'config'), 0o666);
  return folder;
}

function isPlanted(on: Attempt): boolean {
  return OBEYED.some((name) => {
    const path = on.path('work', name);
    return existsSync(path) && readFileSync(path, 'utf8').includes(on.canary);
  });
}

export const FILESYSTEM_CASES: readonly EscapeCase[] = [
  reads(['fs-01'], 'reads a file that the policy does not grant', (file) => ({
    attack: 'read',
    file,
  })),
  reads(['fs-03'], 'reads it through a link of its own', (file) => ({ attack: 'read-link', file })),
  reads(['fs-03-hard'], 'reads it through a hard link of its own', (file) => ({
    attack: 'read-hard-link',
    file,
  })),
  reads(['fs-08'], 'reads it through /proc/self/root, cwd and fd', (file) => ({
    attack: 'read-each',
    files: [
      `/proc/self/root${file}`,
      `/proc/self/cwd/../../../../../../..${file}`,
      `/proc/self/task/self/root${file}`,
      `/proc/PPID/root${file}`,
      `/proc/1/root${file}`,
    ],
  })),
  reads(['node-03'], 'reads it from a worker thread', (file) => ({
    attack: 'read-in-thread',
    file,
  })),
  reads(['node-03-pool'], 'reads it from the thread pool', (file) => ({
    attack: 'read-async',
    file,
  })),
  reads(['node-15'], 'reads it from a module in a data: URL', (file) => ({
    attack: 'read-data-import',
    file,
  })),
  {
    ids: ['fs-02'],
    title: 'writes outside its scratch',
    claimedBy: STRONG,
    attempt: async (on) => {
      await on.run(FILES, { attack: 'write', file: on.path('escaped') });
      return existsSync(on.path('escaped'));
    },
  },
  {
    ids: ['fs-02-remove'],
    title: 'removes what is not its own',
    claimedBy: STRONG,
    attempt: async (on) => {
      const file = await on.secret();
      await on.run(FILES, { attack: 'remove', file });
      return !existsSync(file);
    },
  },
  {
    ids: ['fs-12'],
    title: 'plants files in a writable workspace that other programs obey',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      const folder = workspace(on);
      const files = OBEYED.map((name) => on.path('work', name));
      const args = { attack: 'write-each', files, text: on.canary };
      await on.run(FILES, args, { filesystem: { write: [folder] } });
      return isPlanted(on);
    },
  },
  {
    ids: ['fs-12-rename'],
    title: 'moves `.git` out of the way to plant another',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      const folder = workspace(on);
      const args = {
        attack: 'move-away',
        from: on.path('work', '.git'),
        to: on.path('work', 'git'),
        file: on.path('work', '.git', 'config'),
        text: on.canary,
      };
      await on.run(FILES, args, { filesystem: { write: [folder] } });
      return isPlanted(on);
    },
  },
  {
    ids: ['fs-13'],
    title: 'writes through a protected name that leads elsewhere',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      mkdirSync(on.path('work'));
      mkdirSync(on.path('decoy'));
      chmodSync(on.path('work'), 0o777);
      chmodSync(on.path('decoy'), 0o777);
      symlinkSync(on.path('decoy'), on.path('work', '.vscode'));
      const file = on.path('work', '.vscode', 'tasks.json');
      const args = { attack: 'write', file };
      await on.run(FILES, args, { filesystem: { write: [on.path('work')] } });
      return existsSync(on.path('decoy', 'tasks.json'));
    },
  },
  {
    ids: ['fs-16'],
    title: 'a granted folder works below one that is not',
    claimedBy: STRONG,
    mustWork: true,
    attempt: async (on) => {
      mkdirSync(on.path('parent', 'allowed'), { recursive: true });
      writeFileSync(on.path('parent', 'allowed', 'data'), on.canary);
      writeFileSync(on.path('parent', 'hidden'), 'hidden-content');
      const files = [on.path('parent', 'allowed', 'data'), on.path('parent', 'hidden')];
      const report = await on.run(
        FILES,
        { attack: 'read-each', files },
        { filesystem: { read: [on.path('parent', 'allowed')] } },
      );
      const isHidden = !JSON.stringify(report).includes('hidden-content');
      return leaked(on, report) && (isHidden || on.isUnprotected);
    },
  },
  {
    ids: ['node-14'],
    title: 'writes its heap and a report into a folder of the host',
    claimedBy: STRONG,
    attempt: async (on) => {
      await on.run(FILES, { attack: 'snapshot', folder: on.folder });
      return existsSync(on.path('heap')) || existsSync(on.path('report'));
    },
  },
  {
    ids: ['C3'],
    title: 'swaps a granted folder for a link between two calls',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      const hidden = on.path('hidden');
      mkdirSync(hidden);
      writeFileSync(on.path('hidden', 'data'), on.canary);
      mkdirSync(on.path('work', 'in'), { recursive: true });
      chmodSync(on.path('work'), 0o777);
      const filesystem = { read: [on.path('work', 'in')], write: [on.path('work')] };
      const swap = `fs.renameSync('${on.path('work', 'in')}','${on.path('work', 'old')}');fs.symlinkSync('${hidden}','${on.path('work', 'in')}')`;
      await on.run(tool('run-code.mjs'), { code: swap }, { filesystem });
      const file = on.path('work', 'in', 'data');
      return leaked(on, await on.run(FILES, { attack: 'read', file }, { filesystem }));
    },
  },
  {
    ids: ['A3'],
    title: 'changes mode and time of a file that it may not open',
    claimedBy: STRONG,
    attempt: async (on) => {
      const file = await on.secret();
      chmodSync(file, 0o600);
      const code = `for (const f of [() => fs.chmodSync(a.file, 0o666), () => fs.utimesSync(a.file, 1, 1), () => fs.truncateSync(a.file)]) try { f() } catch {}`;
      await on.run(tool('run-code.mjs'), { code, file });
      const { mode, mtimeMs, size } = statSync(file);
      return (mode & 0o777) !== 0o600 || mtimeMs === 1000 || size === 0;
    },
  },
  {
    ids: ['A6'],
    title: 'leaves a set-id file in a writable folder',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      mkdirSync(on.path('work'));
      chmodSync(on.path('work'), 0o777);
      const code = `fs.writeFileSync(a.file, 'x', { mode: 0o755 }); try { fs.chmodSync(a.file, 0o6755) } catch { fs.rmSync(a.file); const d = fs.openSync(a.file, 'w', 0o4755); fs.fchmodSync(d, 0o4755) }`;
      const file = on.path('work', 'left');
      const filesystem = { write: [on.path('work')] };
      await on.run(tool('run-code.mjs'), { code, file }, { filesystem });
      return existsSync(file) && (statSync(file).mode & 0o6000) !== 0;
    },
  },
];
