// The official everything server as a program of its own, for mcp-expose to call over HTTP.
import { spawn } from 'node:child_process';
import { within } from './eventually.ts';
import { atEnd, type Lifetime } from './lifetime.ts';
import { freePort } from './loopback-server.ts';
import { killIfAlive } from './processes.ts';
import { installedServer } from './program.ts';

export type RunningKind = 'http' | 'sse';

export interface RunningServer {
  kind: RunningKind;
  url: string;
  port: number;
  pid: number;
}

/** Starts server-everything with one of its HTTP transports; resolves once it listens. */
export async function startEverything(
  kind: RunningKind,
  { lifetime = 'test', port: wished }: { lifetime?: Lifetime; port?: number } = {},
): Promise<RunningServer> {
  const port = wished ?? (await freePort());
  const [file = '', ...args] = installedServer('mcp-server-everything', kind === 'http' ? 'streamableHttp' : 'sse');
  const child = spawn(file, args, { env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe'] });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot run ${file}`);
  atEnd(lifetime, () => killIfAlive(pid));
  const listening = new Promise<void>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (/running on port|listening on port/i.test(said)) resolve();
    });
    child.once('exit', () => reject(new Error(`server-everything ended: ${said}`)));
  });
  await within(15_000, 'server-everything to listen', listening);
  return { kind, url: `http://127.0.0.1:${port}/${kind === 'http' ? 'mcp' : 'sse'}`, port, pid };
}
