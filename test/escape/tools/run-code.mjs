// Runs code that the test wrote: for attacks of one line. `a` are the arguments.
import child_process from 'node:child_process';
import dgram from 'node:dgram';
import dns from 'node:dns';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import worker_threads from 'node:worker_threads';

const modules = { child_process, dgram, dns, fs, http, net, os, worker_threads };
const AsyncFunction = (async () => {}).constructor;

export default async ({ code, ...a }) => {
  try {
    // What is still alive afterwards is found by this name.
    process.title = a.token;
  } catch {
    // A thread cannot be renamed.
  }
  const run = new AsyncFunction('a', ...Object.keys(modules), code);
  return run(a, ...Object.values(modules));
};
