// One call starts the world: mcp-expose in front of a server, or a relay, ready to be used.
import { randomUUID } from 'node:crypto';
import { within } from './eventually.ts';
import { parseJson } from './parse-json.ts';
import { type Program, type ProgramOptions, startProgram } from './program.ts';
import { childMark } from './processes.ts';

export interface ReadyEvent {
  event: 'ready';
  publicUrl: string | null;
  localUrl: string;
  token: string | null;
  /** With `--oauth`. */
  pairingCode?: string;
  /** With `--oidc-issuer`. */
  identityProvider?: { host: string; redirectUri: string };
  tunnel: { provider: string };
  servers: {
    name: string;
    path: string;
    era: string;
    protocolVersion: string;
    translatedFor: string | null;
    tools: number;
    error?: string;
  }[];
}

export interface ExposeOptions extends Partial<ProgramOptions> {
  /** argv of the server, put after `--`. */
  server?: string[];
  /** A command line for `--stdio` instead. */
  stdio?: string;
  /** A server that runs already instead. */
  running?: { kind: 'http' | 'sse'; url: string };
  /** A configuration file instead. */
  config?: string;
  /** Further options, before `--`. */
  args?: string[];
}

export interface Running extends Program {
  /** Every JSON object printed on stdout so far. */
  events(): Record<string, unknown>[];
}

export interface Exposed extends Running {
  ready: ReadyEvent;
  localUrl: string;
  publicUrl: string | null;
  /** The public URL where there is one, the local one otherwise. */
  url: string;
  /** The credential that callers need: generated, or the one given as MCP_EXPOSE_TOKEN. */
  token: string;
}

function eventsOf(program: Program): Record<string, unknown>[] {
  const lines = program.stdout().split('\n');
  lines.pop(); // the line that is not complete yet
  return lines.map((line) => parseJson<Record<string, unknown>>(line));
}

function upstreamArgs({ server, stdio, running, config }: ExposeOptions, mark: string): string[] {
  if (running !== undefined) return [`--${running.kind}`, running.url];
  const env = ['--env', `${childMark}=${mark}`];
  if (config !== undefined) return [...env, '--config', config];
  if (stdio !== undefined) return [...env, '--stdio', stdio];
  return server === undefined ? env : [...env, '--', ...server];
}

/** No test looks for a tunnel unless it is about that. */
function tunnelArgs({ args = [], env = {} }: ExposeOptions): string[] {
  const isSaid =
    args.some((arg) => /^--(?:tunnel|relay)\b/.test(arg)) ||
    /MCP_EXPOSE_(?:TUNNEL|RELAY)/.test(Object.keys(env).join(' '));
  return isSaid ? args : ['--tunnel', 'none', ...args];
}

/** Starts mcp-expose with `--json` and does not wait: for starts that fail. */
export function launchExpose(options: ExposeOptions): Running {
  const mark = options.mark ?? randomUUID();
  const args = ['--json', ...tunnelArgs(options), ...upstreamArgs(options, mark)];
  const program = startProgram(args, { ...options, mark });
  return { ...program, mark, events: () => eventsOf(program) };
}

/** Starts mcp-expose and resolves when it is ready; rejects with what it printed when it ends before. */
export async function startExpose(options: ExposeOptions): Promise<Exposed> {
  const running = launchExpose(options);
  const ready = await firstLine<ReadyEvent>(running);
  return {
    ...running,
    ready,
    localUrl: ready.localUrl,
    publicUrl: ready.publicUrl,
    url: ready.publicUrl ?? ready.localUrl,
    token: ready.token ?? options.env?.['MCP_EXPOSE_TOKEN'] ?? '',
  };
}

/** How long a start may take, in milliseconds: half a second on an idle machine, and more than 20 s on one that has much to do. */
const startMs = 40_000;

async function firstLine<T>(program: Program): Promise<T> {
  const failed = program.exited.then((code) => {
    throw new Error(`mcp-expose ended with exit code ${code} before it was ready:\n${program.stderr()}`);
  });
  const printed = program.waitForStdout(/^.*\n/, startMs);
  printed.catch(() => {}); // the exit code says more
  failed.catch(() => {});
  const [line] = await within(startMs, 'mcp-expose to be ready', Promise.race([printed, failed]));
  if (!line.startsWith('{"event":"ready"')) throw new Error(`the first line on stdout is not the ready event: ${line}`);
  return parseJson<T>(line);
}

export interface RelayOptions extends Partial<ProgramOptions> {
  port?: number;
  args?: string[];
}

export interface Relay extends Running {
  url: string;
  port: number;
}

/** Starts `mcp-expose relay` on a loopback port. */
export async function startRelay(options: RelayOptions = {}): Promise<Relay> {
  const mark = options.mark ?? randomUUID();
  const { port = 0, args = [] } = options;
  const program = startProgram(['relay', '--host', '127.0.0.1', '--port', String(port), '--json', ...args], {
    ...options,
    mark,
  });
  const { url } = await firstLine<{ event: 'ready'; url: string }>(program);
  return { ...program, mark, events: () => eventsOf(program), url, port: Number(new URL(url).port) };
}

/** How long mcp-expose may take to reach a relay that has come back, in milliseconds: at most 30 s pass between two attempts. */
export const redialMs = 60_000;

/** Starts mcp-expose behind this relay. */
export function startBehindRelay(relay: Pick<Relay, 'url'>, options: ExposeOptions): Promise<Exposed> {
  return startExpose({ ...options, args: ['--tunnel', 'relay', '--relay', relay.url, ...(options.args ?? [])] });
}
