// Supervision with real processes: the parts that carry one session, from the channel to the pipes.
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { Channel } from '../../../src/bridge/session/channel.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { RestartingUpstream } from '../../../src/bridge/restart/restarting-upstream.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import type { UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { eventually } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import type { ProcessInfo } from '../../harness/processes.ts';
import { cleanEnvironment } from '../../harness/program.ts';
import { createFakeCall, createFakeSink, methodsOf, type FakeCall, type FakeSink } from '../session/fake-sink.ts';
import { initialize, notification, request } from '../messages.ts';
import { expectGone, infoOf, killGroup } from '../../platform/process/node-process.ts';
import { fixtureCommand } from '../upstream/stdio/stdio-server.ts';

interface RealSession {
  readonly channel: Channel;
  readonly standalone: FakeSink;
  readonly ends: UpstreamEnd[];
  readonly warnings: string[];
  readonly server: ManagedServer;
  /** Of all processes that were started. */
  readonly processes: ProcessInfo[];
  readonly call: (tool: string, args?: object) => FakeCall;
  /** The text of the tool's result. */
  readonly text: (tool: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

async function settled(call: FakeCall): Promise<FakeCall> {
  await eventually(() => expect(call.responses.length + call.failures.length).toBe(1), 15_000);
  return call;
}

async function openSession(spareCount: number): Promise<RealSession> {
  const processes: ProcessInfo[] = [];
  const ends: UpstreamEnd[] = [];
  const warnings: string[] = [];
  const standalone = createFakeSink();
  const onWarning = (warning: string): void => void warnings.push(warning);
  const server = new ManagedServer({
    connect: () =>
      new StdioUpstream({
        command: fixtureCommand('crash-on-call'),
        env: cleanEnvironment('/nonexistent'),
        execa,
        watchdog: {
          guard: (pid) => void processes.push(infoOf(pid)),
          release() {},
          killAll() {},
          close: () => Promise.resolve(),
        },
        onStderr() {},
        onWarning,
      }),
    isProcess: true,
    isShared: false,
    warm: spareCount,
    onWarning,
  });
  const upstream = new RestartingUpstream({
    server,
    restart: 'on-exit',
    startTimeoutMs: 15_000,
    onWarning,
  });
  const channel = new Channel({ upstream, standalone, onClose: (end) => ends.push(end) });
  async function close(): Promise<void> {
    await Promise.all([channel.close(), server.close()]);
  }
  atEnd('test', async () => {
    for (const { pid } of processes) killGroup(pid);
    await close();
  });

  let lastId = 0;
  function send(sent: RpcRequest): FakeCall {
    const fake = createFakeCall();
    expect(channel.request(sent, fake)).toBeUndefined();
    return fake;
  }
  const call: RealSession['call'] = (name, args = {}) =>
    send(request(++lastId, 'tools/call', { name, arguments: args }));
  async function text(tool: string): Promise<unknown> {
    const { responses, failures } = await settled(call(tool));
    expect(failures).toEqual([]);
    return responses[0]?.json['result'];
  }

  server.begin();
  channel.start();
  await settled(send(initialize));
  channel.forward(notification('notifications/initialized'));
  return { channel, standalone, ends, warnings, server, processes, call, text, close };
}

function pidIs({ pid }: ProcessInfo): unknown {
  return { content: [{ type: 'text', text: String(pid) }] };
}

test('a session lives on when its process is killed, and its next call is answered by another one', async () => {
  const { standalone, ends, warnings, server, processes, call, text, close } = await openSession(0);
  const [first] = processes;
  if (first === undefined) throw new Error('no process was started');
  expect(await text('pid')).toEqual(pidIs(first));
  expect(server.health.report()).toMatchObject({ state: 'up', children: 1, restarts: 0 });
  const pending = call('wait');
  await text('pid');
  process.kill(first.pid, 'SIGKILL');
  await settled(pending);
  expect(pending.failures).toMatchObject([
    { message: 'the server was ended by SIGKILL', data: { reason: 'upstream_exited', signal: 'SIGKILL' } },
  ]);
  const again = await text('pid');
  expect(processes).toHaveLength(2);
  expect(again).toEqual(pidIs(processes[1] ?? first));
  expect(again).not.toEqual(pidIs(first));
  expect([methodsOf(standalone), ends]).toEqual([['notifications/tools/list_changed'], []]);
  expect(warnings).toEqual(['the server was ended by SIGKILL; it is started again']);
  expect(server.health.report()).toMatchObject({ state: 'up', children: 1, restarts: 1 });
  await close();
  await eventually(() => processes.forEach(expectGone));
  expect([ends.length, server.health.report().children]).toEqual([1, 0]);
});

test('a server that falls over at every call is given up in the end, with its last words', async () => {
  const { ends, call, processes } = await openSession(0);
  for (let round = 0; round < 5; round++) {
    const { failures } = await settled(call('crash', { code: 3 })); // oxlint-disable-line no-await-in-loop -- one life after the other
    expect(failures).toMatchObject([{ data: { exitCode: 3, stderr: 'about to fall over\nlast words of the server' } }]);
  }
  expect(ends).toMatchObject([
    {
      reason: 'the server ended 5 times within a minute, the last time: the server exited with code 3',
      exitCode: 3,
      stderr: 'about to fall over\nlast words of the server',
    },
  ]);
  expect(processes).toHaveLength(5);
});

test('a spare takes over, and another one is kept', async () => {
  const { call, text, processes, server, ends } = await openSession(1);
  await eventually(() => expect([processes.length, server.health.report().children]).toEqual([2, 2]));
  const [, spare] = processes;
  if (spare === undefined) throw new Error('no spare was started');
  await settled(call('crash'));
  expect(await text('pid')).toEqual(pidIs(spare));
  await eventually(() => expect([processes.length, server.health.report().children]).toEqual([3, 2]));
  expect(ends).toEqual([]);
});
