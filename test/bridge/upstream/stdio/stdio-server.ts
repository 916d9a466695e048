// Starts a real server process behind a stdio upstream, and waits for what it says.
import { execa } from 'execa';
import type { ServerCommand } from '../../../../src/bridge/upstream/stdio/command-line.ts';
import { StdioUpstream, type StdioUpstreamOptions } from '../../../../src/bridge/upstream/stdio/stdio.ts';
import type { Upstream, UpstreamEnd } from '../../../../src/bridge/upstream/upstream.ts';
import { createDeferred } from '../../../../src/platform/deferred.ts';
import { parseMessage, type RequestId, type RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { newRequest } from '../../../../src/mcp/new-message.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { cleanEnvironment, fixture } from '../../../harness/program.ts';
import { killGroup } from '../../../platform/process/node-process.ts';

export interface StdioServer {
  readonly upstream: Upstream;
  readonly messages: RpcMessage[];
  readonly stderr: string[];
  readonly warnings: string[];
  readonly ends: UpstreamEnd[];
  /** What the watchdog was told, as `guard 123`. */
  readonly guarding: string[];
  readonly pid: () => number;
  readonly ended: Promise<UpstreamEnd>;
  /** Sends a message, or anything else on one line. */
  readonly send: (message: object | string) => boolean;
  readonly answerTo: (id: RequestId) => Promise<RpcMessage>;
  readonly stderrLine: (pattern: RegExp) => Promise<string>;
}

export interface StdioServerOptions extends Partial<Omit<StdioUpstreamOptions, 'command'>> {
  /** Requests that are sent at once: whatever a server answers to others is dropped. */
  readonly asked?: readonly RequestId[];
}

export function nodeCommand(script: string): ServerCommand {
  return { kind: 'argv', file: process.execPath, args: ['-e', script] };
}

export function fixtureCommand(name: string, ...args: string[]): ServerCommand {
  const [file = '', ...rest] = fixture(name, ...args);
  return { kind: 'argv', file, args: rest };
}

export function startStdio(command: ServerCommand, given: StdioServerOptions = {}): StdioServer {
  const { asked = [], ...options } = given;
  const messages: RpcMessage[] = [];
  const stderr: string[] = [];
  const warnings: string[] = [];
  const ends: UpstreamEnd[] = [];
  const guarding: string[] = [];
  const groups: number[] = [];
  const upstream = new StdioUpstream({
    command,
    env: cleanEnvironment('/nonexistent'),
    execa,
    watchdog: {
      guard(group) {
        groups.push(group);
        guarding.push('guard');
      },
      release: (group) =>
        void guarding.push(groups.includes(group) ? 'release' : `release of ${group}, which is unknown`),
      killAll() {},
      close: () => Promise.resolve(),
    },
    onStderr: (line) => stderr.push(line),
    onWarning: (message) => warnings.push(message),
    ...options,
  });
  const announced = createDeferred<UpstreamEnd>();
  atEnd('test', async () => {
    for (const group of groups) killGroup(group);
    await upstream.close();
  });
  upstream.start({
    onMessage: (message) => messages.push(message),
    onClose(end) {
      ends.push(end);
      announced.resolve(end);
    },
  });
  for (const id of asked) upstream.send(newRequest(id, 'ping'));

  function find<T>(what: string, look: () => T | undefined): Promise<T> {
    return eventually(() => {
      const found = look();
      if (found === undefined) throw new Error(`${what} has not come; stderr: ${stderr.join('\n')}`);
      return found;
    }, 15_000);
  }

  return {
    upstream,
    messages,
    stderr,
    warnings,
    ends,
    guarding,
    pid: () => groups[0] ?? 0,
    ended: within(30_000, 'the server to end', announced.promise),
    send: (message) =>
      upstream.send(asMessage(typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }))),
    answerTo: (id) =>
      find(`the answer to ${id}`, () => messages.find((message) => message.kind === 'response' && message.id === id)),
    stderrLine: (pattern) => find(`the line ${String(pattern)}`, () => stderr.find((line) => pattern.test(line))),
  };
}

function asMessage(text: string): RpcMessage {
  const parsed = parseMessage(Buffer.from(text));
  // What is no message to us can still be sent: the fixture has to bear it.
  if (parsed.kind === 'fault') return { kind: 'notification', method: '', json: {}, bytes: Buffer.from(text) };
  return parsed;
}
