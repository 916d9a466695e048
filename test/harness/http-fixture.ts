// Fixtures that serve HTTP, as programs of their own that mcp-expose calls.
import { spawn } from 'node:child_process';
import { within } from './eventually.ts';
import { atEnd, type Lifetime } from './lifetime.ts';
import { parseJson } from './parse-json.ts';
import { killIfAlive } from './processes.ts';
import { cleanEnvironment, fixture, temporaryDirectory } from './program.ts';

/** Starts one and resolves with its URLs, one for each transport that it has. */
export async function startHttpFixture(
  name: string,
  { args = [], lifetime = 'test' }: { args?: string[]; lifetime?: Lifetime } = {},
): Promise<{ http: string; sse: string }> {
  const [node = '', ...argv] = fixture(name, ...args);
  const child = spawn(node, argv, {
    env: cleanEnvironment(temporaryDirectory(lifetime)),
    stdio: ['pipe', 'pipe', 'inherit'], // it ends with its standard input
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  atEnd(lifetime, async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killIfAlive(child.pid);
    await gone;
  });
  const printed = new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('exit', (code) => reject(new Error(`${name} ended with exit code ${code}`)));
    child.once('error', reject);
  });
  return parseJson(await within(10_000, `${name} to listen`, printed));
}
