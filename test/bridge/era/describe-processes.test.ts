// What is found out of servers of each kind, how many processes it takes, and what they were sent.
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { describeServer, type ServerDescription } from '../../../src/bridge/describe-server.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import type { RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { atEnd } from '../../harness/lifetime.ts';
import type { ProcessInfo } from '../../harness/processes.ts';
import { cleanEnvironment } from '../../harness/program.ts';
import { expectGone, infoOf, killGroup } from '../../platform/process/node-process.ts';
import { fixtureCommand } from '../upstream/stdio/stdio-server.ts';

interface Outcome {
  readonly description: ServerDescription;
  /** The methods that each process was sent, in order. */
  readonly sent: readonly (readonly string[])[];
  /** How many processes ran at the same time, at most. */
  readonly atOnce: number;
  readonly warnings: readonly string[];
}

/** Describes a fixture over a server of which nothing is known, and waits until nothing of it is left. */
async function described(
  name: string,
  args: readonly string[] = [],
  { era = 'auto', timeoutMs = 40_000 }: { era?: 'auto' | 'legacy' | 'modern'; timeoutMs?: number } = {},
): Promise<Outcome> {
  const processes: ProcessInfo[] = [];
  const sent: string[][] = [];
  const warnings: string[] = [];
  let [running, atOnce] = [0, 0];
  const server = new ManagedServer({
    connect() {
      const methods: string[] = [];
      sent.push(methods);
      const upstream: Upstream = new StdioUpstream({
        command: fixtureCommand(name, ...args),
        env: cleanEnvironment('/nonexistent'),
        execa,
        watchdog: {
          guard(pid) {
            processes.push(infoOf(pid));
            atOnce = Math.max(atOnce, ++running);
          },
          release: () => void running--,
          killAll() {},
          close: () => Promise.resolve(),
        },
        onStderr() {},
        onWarning() {},
      });
      const send = upstream.send.bind(upstream);
      return Object.assign(upstream, {
        send(message: RpcMessage) {
          if (message.kind !== 'response') methods.push(message.method);
          return send(message);
        },
      });
    },
    isProcess: true,
    isShared: false,
    onWarning() {},
  });
  atEnd('test', () => {
    for (const { pid } of processes) killGroup(pid);
  });
  const description = await describeServer({
    look: (use, spoken) => server.look(use, spoken),
    carriesBoth: true,
    era,
    onWarning: (warning) => warnings.push(warning),
    timeoutMs,
    signal: new AbortController().signal,
    checkAlone: 'run the command alone to check it',
    clientVersion: '9.9.9',
  });
  await server.close();
  for (const process of processes) expectGone(process);
  expect([processes.length, running]).toEqual([sent.length, 0]);
  return { description, sent, atOnce, warnings };
}

const legacyTalk = ['initialize', 'notifications/initialized', 'tools/list'];
const modernTalk = ['server/discover', 'tools/list'];
const lock = (): string => `/tmp/mcp-expose-lock-${process.pid}-${Math.random()}`;

describe('a server of the legacy era that', () => {
  test.each([
    ['does not know the method', 'echo', [], [['server/discover', ...legacyTalk]]],
    ['exits', 'exits-on-discover', [], [['server/discover'], legacyTalk]],
    ['answers nothing but what it knows', 'silent-on-discover', [], [['server/discover', ...legacyTalk]]],
    ['calls its parameters wrong', 'refuses-params-of-discover', [], [['server/discover', ...legacyTalk]]],
    ['answers and lists legacy revisions', 'negotiates-down', [], [['server/discover', ...legacyTalk]]],
    ['answers with something else', 'unknown-methods', [], [['server/discover', ...legacyTalk, 'tools/list']]],
    ['prints noise around it', 'garbage-on-stdout', [], [['server/discover', ...legacyTalk]]],
    ['runs only once', 'lock-file', [lock()], [['server/discover', ...legacyTalk]]],
  ])('%s is found to be one', async (_what, name, args, talks) => {
    const { description, sent, atOnce } = await described(name, args);
    expect(description).toMatchObject({ name: `fixture-${name}`, era: 'legacy', protocolVersion: '2025-11-25' });
    expect(description.tools).toBeGreaterThan(0);
    expect([sent, atOnce]).toEqual([talks, 1]);
  });

  test('does nothing any more is started again when half of the time is over', async () => {
    const { description, sent, atOnce, warnings } = await described('wedges-on-discover', [], { timeoutMs: 8000 });
    expect(description).toMatchObject({ name: 'fixture-wedges-on-discover', era: 'legacy', tools: 1 });
    expect([sent, atOnce]).toEqual([[['server/discover', 'initialize'], legacyTalk], 1]);
    expect(warnings).toEqual([
      'the server has not answered server/discover for 3 s; after 4 s it is asked as a server of before MCP 2026-07-28, which --upstream-era legacy does at once',
    ]);
  });

  test('is known to be one is asked for nothing else', async () => {
    expect((await described('wedges-on-discover', [], { era: 'legacy' })).sent).toEqual([legacyTalk]);
  });
});

describe('a server of the modern era that', () => {
  test.each([
    ['serves nothing else', [], [modernTalk]],
    ['serves legacy clients, too', ['--dual'], [modernTalk]],
    ['needs four seconds to start', ['--late'], [['server/discover', 'initialize', 'tools/list']]],
    [
      'needs them and serves legacy clients, too',
      ['--late', '--dual'],
      [['server/discover', 'initialize', 'tools/list']],
    ],
    ['does not answer discover', ['--ignores-discover'], [['server/discover', 'initialize', 'tools/list']]],
  ])('%s is found to be one', async (_what, args, talks) => {
    const { description, sent, warnings } = await described('answers-discover', args);
    expect(description).toEqual({
      name: 'fixture-answers-discover',
      version: '2.0.0',
      era: 'modern',
      protocolVersion: '2026-07-28',
      tools: 1,
    });
    expect([sent, warnings]).toEqual([talks, []]);
  });

  test('serves a later revision is spoken to in that', async () => {
    const { description, sent } = await described('answers-discover', ['--future']);
    expect(description).toMatchObject({
      name: 'fixture-answers-discover',
      era: 'modern',
      protocolVersion: '2027-01-31',
    });
    expect(sent).toEqual([['server/discover', 'server/discover', 'tools/list']]);
  });

  test('is known to be one is asked for nothing else', async () => {
    expect((await described('answers-discover', ['--late'], { era: 'modern' })).sent).toEqual([modernTalk]);
  });
});

test.each([
  [
    'a legacy server that is said to be modern',
    'echo',
    'modern',
    {
      code: 'upstream_refused',
      message: 'the server refused server/discover: method not found: server/discover',
      hints: ['it is a legacy server, of before MCP 2026-07-28: use --upstream-era legacy, or omit the option'],
    },
  ],
  [
    'a modern server that is said to be legacy',
    'answers-discover',
    'legacy',
    {
      code: 'upstream_refused',
      message: 'the server refused initialize: unsupported protocol version',
      hints: ['it speaks MCP 2026-07-28: use --upstream-era modern, or omit the option'],
    },
  ],
  [
    'a server that is said to be modern and exits',
    'exits-on-discover',
    'modern',
    {
      code: 'upstream_exited',
      message: 'the server exited with code 1 before it had answered',
      hints: expect.arrayContaining(['if it is a legacy server, use --upstream-era legacy, or omit the option']),
    },
  ],
] as const)('%s is an error that says what to do', async (_what, name, era, error) => {
  await expect(described(name, [], { era })).rejects.toMatchObject(error);
});
