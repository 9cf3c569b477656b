// Tries one thing with files and returns what it got hold of.
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

const read = (file) => fs.readFileSync(file, 'utf8');
const scratch = process.env.TMPDIR;

const attacks = {
  read: ({ file }) => read(file),
  write: ({ file, text = 'escaped' }) => fs.writeFileSync(file, text),
  'read-link': ({ file }) => {
    const link = path.join(scratch, 'link');
    fs.symlinkSync(file, link);
    return read(link);
  },
  'read-hard-link': ({ file }) => {
    const link = path.join(scratch, 'hard');
    fs.linkSync(file, link);
    return read(link);
  },
  'read-each': ({ files }) =>
    files.map((file) => {
      try {
        return read(file.replace('PPID', process.ppid));
      } catch {
        return null;
      }
    }),
  'write-each': ({ files, text }) => {
    for (const file of files) {
      try {
        fs.mkdirSync(path.dirname(file), { recursive: true });
      } catch {}
      try {
        fs.writeFileSync(file, text);
      } catch {}
    }
  },
  'move-away': ({ from, to, file, text }) => {
    try {
      fs.renameSync(from, to);
    } catch {}
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  },
  remove: ({ file }) => fs.rmSync(file, { recursive: true }),
  list: ({ folder }) => fs.readdirSync(folder),
  'read-in-thread': ({ file }) =>
    new Promise((resolve, reject) => {
      const code = `require('worker_threads').parentPort.postMessage(require('fs').readFileSync(${JSON.stringify(file)}, 'utf8'))`;
      const worker = new Worker(code, { eval: true });
      worker.on('message', resolve);
      worker.on('error', reject);
    }),
  'read-async': async ({ file }) =>
    (await Promise.allSettled(Array.from({ length: 8 }, () => fs.promises.readFile(file, 'utf8'))))
      .map(({ value }) => value)
      .join(),
  'read-data-import': async ({ file }) => {
    const code = `import fs from 'node:fs'; export default fs.readFileSync(${JSON.stringify(file)}, 'utf8')`;
    return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).default;
  },
  snapshot: async ({ folder }) => {
    const v8 = await import('node:v8');
    try {
      v8.writeHeapSnapshot(path.join(folder, 'heap'));
    } catch {}
    process.report.directory = folder;
    process.report.writeReport('report');
  },
  fifo: () => {
    // In the working folder, where a collector of results would look.
    fs.writeFileSync('plain', 'x');
    return scratch;
  },
};

export default async ({ attack, ...args }) => {
  try {
    return { got: await attacks[attack](args) };
  } catch (error) {
    return { failed: String(error.code ?? error) };
  }
};
