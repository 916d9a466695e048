// Runs one of the attacks of the bench, in a process of its own: what it costs to attack must not slow the honest ones.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { projectRoot } from '../harness/program.ts';

export interface Attacker {
  /** Ends the attack; resolves with how often what has come of it. */
  end(): Promise<Record<string, number>>;
}

/** Resolves when the attack is under way. */
export async function startAttack(name: string, url: string, args: readonly string[] = []): Promise<Attacker> {
  const script = path.join(projectRoot, 'bench', 'attacks', `${name}.js`);
  const child = spawn(process.execPath, [script, url, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  atEnd('test', async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await within(30_000, `the attack ${name} to be under way`, once(reader, 'line'));
  return {
    async end() {
      child.kill('SIGTERM');
      await within(10_000, `the attack ${name} to end`, exited);
      return parseJson<Record<string, number>>(lines.at(-1) ?? '{}');
    },
  };
}
