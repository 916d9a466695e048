// A machine on which the program of a tunnel is "installed": a stand-in of fixtures/tunnels/ behind a wrapper on PATH, a
// server that the tunnel leads to, and the provider opened as expose.ts does. Everything is ended when the test is over.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import path from 'node:path';
import { systemClock, type Clock } from '../../../src/platform/clock.ts';
import { ExposeError } from '../../../src/errors.ts';
import { createWatchdog } from '../../../src/platform/process/watchdog.ts';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import type { HostEnvironment } from '../../../src/tunnel/host-environment.ts';
import type { Tunnel, TunnelProvider, TunnelStatus, TunnelTarget } from '../../../src/tunnel/provider.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { isAlive, killIfAlive, processInfo, type ProcessInfo } from '../../harness/processes.ts';
import { projectRoot, temporaryDirectory } from '../../harness/program.ts';
import { fieldsOf } from '../relay/world.ts';

/** Bound for every wait, in milliseconds. */
const patienceMs = 20_000;

export interface BinaryWorldOptions {
  /** What the stand-in is to do; see each stand-in. */
  readonly scenario?: Scenario;
  /** Names of programs on PATH and the stand-in behind each; one stand-in may have several names. */
  readonly programs: Readonly<Record<string, string>>;
  /** More of the user's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
}

export type Scenario = Readonly<Record<string, unknown>>;

export interface Call {
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface OpenTunnel {
  readonly tunnel: Tunnel;
  readonly statuses: readonly TunnelStatus[];
  readonly warnings: readonly string[];
  /** Resolves with the first status, from now on or before, that is so. */
  status(isWanted: (status: TunnelStatus) => boolean): Promise<TunnelStatus>;
}

export interface BinaryWorld {
  readonly environment: HostEnvironment;
  /** Empty, and HOME of the programs. */
  readonly home: string;
  /** Replaces the scenario, also for a program that runs and watches it. */
  setScenario(scenario: Scenario): void;
  /** Every start of a program so far. */
  calls(): readonly Call[];
  /** Those that live. */
  alive(): readonly ProcessInfo[];
  /** Where the public side of a host listens that its stand-in has opened last. */
  edgePort(host: string): number | undefined;
  /** A request to what the public URL names, sent to where its stand-in listens. */
  ask(
    publicUrl: string,
    options?: { readonly path?: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Reply>;
  open(provider: TunnelProvider): Promise<OpenTunnel>;
  /** The error of an `open` that must fail. */
  refusal(provider: TunnelProvider): Promise<ExposeError>;
  /** Headers of the requests that have come through so far. */
  readonly received: readonly IncomingHttpHeaders[];
}

export async function createBinaryWorld(options: BinaryWorldOptions): Promise<BinaryWorld> {
  const root = temporaryDirectory();
  const stage = path.join(root, 'stage');
  const bin = path.join(root, 'bin');
  const home = path.join(root, 'home');
  for (const folder of [stage, bin, home]) mkdirSync(folder);
  for (const [name, standIn] of Object.entries(options.programs)) {
    const file = path.join(projectRoot, 'fixtures', 'tunnels', `${standIn}.js`);
    const script = `#!/bin/sh\nTUNNEL_STAGE='${stage}' TUNNEL_PROGRAM='${name}' exec '${process.execPath}' '${file}' "$@"\n`;
    writeFileSync(path.join(bin, name), script, { mode: 0o755 });
  }
  const watchdog = createWatchdog();
  const environment: HostEnvironment = {
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: home, ...options.env },
    watchdog,
    clock: options.clock ?? systemClock,
    overrides: new HostOverrides([]),
  };
  const received: IncomingHttpHeaders[] = [];
  const target = targetThat((request, response) => {
    received.push(request.headers);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ url: request.url, method: request.method }));
  });

  function lines(file: string): Record<string, unknown>[] {
    let text = '';
    try {
      text = readFileSync(path.join(stage, file), 'utf8');
    } catch {
      // Nothing was written yet.
    }
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => fieldsOf(line));
  }

  function calls(): Call[] {
    return lines('calls.jsonl').map(({ pid, args, env }) => ({
      pid: Number(pid),
      args: Array.isArray(args) ? args.map(String) : [],
      env: Object.fromEntries(Object.entries(env ?? {}).map(([name, value]) => [name, String(value)])),
    }));
  }

  function alive(): ProcessInfo[] {
    return calls()
      .map(({ pid }) => processInfo(pid))
      .filter((info) => info !== undefined)
      .filter((info) => isAlive(info) && info.command.some((word) => word.includes('/fixtures/tunnels/')));
  }

  function setScenario(scenario: Scenario): void {
    // In one step, as a program may be reading it.
    writeFileSync(path.join(stage, 'scenario.new'), JSON.stringify(scenario));
    renameSync(path.join(stage, 'scenario.new'), path.join(stage, 'scenario.json'));
  }

  async function open(provider: TunnelProvider): Promise<OpenTunnel> {
    const statuses: TunnelStatus[] = [];
    const warnings: string[] = [];
    const abort = new AbortController();
    atEnd('test', () => abort.abort());
    const tunnel = await within(
      patienceMs,
      `the tunnel of ${provider.name}`,
      provider.open(target, {
        signal: abort.signal,
        onStatus: (status) => void statuses.push(status),
        onWarning: (warning) => void warnings.push(warning),
      }),
    );
    atEnd('test', () => within(patienceMs, 'the tunnel to close', tunnel.close()));
    return {
      tunnel,
      statuses,
      warnings,
      status: async (isWanted) =>
        await eventually(() => {
          const found = statuses.find(isWanted);
          if (found === undefined) throw new Error(`no such status among ${JSON.stringify(statuses)}`);
          return found;
        }, patienceMs),
    };
  }

  setScenario(options.scenario ?? {});
  atEnd('test', async () => {
    await watchdog.close();
    for (const { pid } of alive()) killIfAlive(pid);
  });

  return {
    environment,
    home,
    setScenario,
    calls,
    alive,
    received,
    open,
    edgePort(host) {
      const edge = lines('edges.jsonl').findLast((opened) => opened['host'] === host);
      return edge === undefined ? undefined : Number(edge['port']);
    },
    async ask(publicUrl, { path: at = '/mcp', headers = {} } = {}) {
      const { host } = new URL(publicUrl);
      const edge = lines('edges.jsonl').findLast((opened) => opened['host'] === host);
      if (edge === undefined) throw new Error(`no public side for ${host}`);
      return await within(
        patienceMs,
        `an answer from ${host}`,
        requestTo(Number(edge['port']), at, { ...headers, host }),
      );
    },
    async refusal(provider) {
      const failure = await open(provider).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure instanceof ExposeError) return failure;
      throw new Error(`the tunnel did not fail with an error of ours: ${String(failure)}`);
    },
  };
}

/** A target whose listener is a server of its own, as in expose.ts. */
export function targetThat(answer: RequestListener): TunnelTarget {
  return {
    handler: () => {
      throw new Error('a program comes through its listener');
    },
    localPort: 9,
    async listen() {
      const server = createServer(answer);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      const address = server.address();
      if (typeof address !== 'object' || address === null) throw new Error('the server does not listen');
      const close = async (): Promise<void> => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        server.closeAllConnections();
        await closed;
      };
      atEnd('test', close);
      return { port: address.port, close };
    },
  };
}

/** One request to the public side of a tunnel. */
export async function requestTo(port: number, at: string, headers: Readonly<Record<string, string>>): Promise<Reply> {
  return await new Promise<Reply>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path: at, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    request.on('error', reject);
    request.end();
  });
}
