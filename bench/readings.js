// What /proc tells of a process.
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time that a process has used in all its threads, in microseconds; not that of its children. The scheduler counts
 * nanoseconds per thread, where /proc/PID/stat has ticks of 10 ms. Node's threads live as long as the process.
 * @param {number} pid
 */
export function cpuMicroseconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return used.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1000;
}

/** Resident memory of a process, in KiB; not that of its children. @param {number} pid */
function residentKibibytes(pid) {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes);
}

/** V8 gives memory back step by step, from one collection to the next, when little happens in between. */
const collections = 12;
const collectionIntervalMs = 100;

/**
 * Resident memory that a process needs, in KiB: what is left of it when the garbage is gone and its room given back.
 * @param {Pick<import('./processes.js').Running, 'pid' | 'collectGarbage'>} running
 */
export async function neededKibibytes({ pid, collectGarbage }) {
  for (let collection = 0; collection < collections; collection++) {
    /* oxlint-disable no-await-in-loop -- one after the other */
    await collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, collectionIntervalMs));
    /* oxlint-enable no-await-in-loop */
  }
  return residentKibibytes(pid);
}

/** Servers are looked at so often, and have settled when they did nothing in between, in milliseconds. */
const settleIntervalMs = 40;
const settleTimeoutMs = 20_000;

/**
 * Resolves when so many servers run below a bridge and all of them have done their start: they wait to be read from.
 * @param {number} pid of the bridge
 * @param {{ program: string, atLeast: number }} servers a part of their command line, and how many have to be there
 */
export async function untilServersWait(pid, { program, atLeast }) {
  const givesUpAt = performance.now() + settleTimeoutMs;
  let before = '';
  for (;;) {
    const servers = descendants(pid).filter((each) => commandLine(each).includes(program));
    const now = servers.map((each) => `${each} ${cpuOf(each)}`).join();
    if (servers.length >= atLeast && now === before) return;
    if (performance.now() > givesUpAt) {
      throw new Error(`${servers.length} servers wait, ${atLeast} should, after ${settleTimeoutMs / 1000} s`);
    }
    before = now;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, settleIntervalMs));
  }
}

/** Processes come and go while they are looked at: of one that has gone there is nothing to tell. */
function ofLiving(/** @type {() => string} */ read) {
  try {
    return read();
  } catch {
    return '';
  }
}

/** @param {number} pid @returns {number[]} */
function descendants(pid) {
  const children = ofLiving(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
  return children.split(' ').flatMap((child) => (child === '' ? [] : [Number(child), ...descendants(Number(child))]));
}

/** @param {number} pid */
function commandLine(pid) {
  return ofLiving(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
}

/** @param {number} pid */
function cpuOf(pid) {
  return ofLiving(() => String(cpuMicroseconds(pid)));
}
