import { randomUUID } from 'node:crypto';
import type { Exposed } from './expose.ts';
import { startProgram } from './program.ts';

/** A further token of a run, with these rules. */
export async function addToken({ home, pid }: Exposed, name: string, ...rules: string[]): Promise<string> {
  const run = startProgram(['token', 'add', name, '--run', String(pid), ...rules], { mark: randomUUID(), home });
  if ((await run.exited) !== 0) throw new Error(`no token was added: ${run.stderr()}`);
  return run.stdout().trim();
}
