// What mcp-expose holds: children, file descriptors, memory. Read before a storm and after it.
import { readdirSync, readFileSync } from 'node:fs';
import type { ChaosWorld } from './chaos-subjects.ts';
import { eventually } from './eventually.ts';
import { parseJson } from './parse-json.ts';
import { childrenWithMark, killIfAlive } from './processes.ts';
import { send } from './raw-http.ts';
import { clientHeaders } from './raw-mcp.ts';

export interface Vitals {
  readonly status: string;
  readonly sessions: number;
  /** By its own account, and by that of the system. */
  readonly children: number;
  readonly processes: number;
  readonly fileDescriptors: number;
}

export interface Memory {
  /** What is reachable, in bytes: objects, and buffers outside of the heap. */
  readonly held: number;
  /** What the process occupies, in bytes. */
  readonly resident: number;
}

export async function readVitals({ exposed }: ChaosWorld): Promise<Vitals> {
  const reply = await send<Vitals>(new URL('/readyz', exposed.localUrl).href, {
    headers: clientHeaders(exposed.token),
  });
  const { status, sessions, children } = reply.json();
  const processes = childrenWithMark(exposed.mark).length;
  return { status, sessions, children, processes, fileDescriptors: readdirSync(`/proc/${exposed.pid}/fd`).length };
}

/** Lets mcp-expose collect its garbage, and tells what is left. */
export async function readMemory({ exposed, readings }: ChaosWorld): Promise<Memory> {
  const before = takenIn(readings);
  killIfAlive(exposed.pid, 'SIGUSR2');
  return eventually(() => {
    if (takenIn(readings) === before) throw new Error('mcp-expose has not told what it holds');
    return parseJson<Memory>(readFileSync(readings, 'utf8'));
  }, 20_000);
}

function takenIn(file: string): number {
  try {
    return parseJson<{ taken: number }>(readFileSync(file, 'utf8')).taken;
  } catch {
    return 0; // it has not told anything yet
  }
}
