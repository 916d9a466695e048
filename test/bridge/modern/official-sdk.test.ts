// Official clients of 2026-07-28, whose requests pass to a server made with the official SDK, over each transport.
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { createSameEraExchanges } from '../../../src/bridge/modern/same-era-exchanges.ts';
import { createSharedModern } from '../../../src/bridge/modern/shared-modern.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { ModernHttpUpstream } from '../../../src/bridge/upstream/http/modern-http.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { eventually } from '../../harness/eventually.ts';
import { startHttpFixture } from '../../harness/http-fixture.ts';
import { atEnd } from '../../harness/lifetime.ts';
import type { ProcessInfo } from '../../harness/processes.ts';
import { cleanEnvironment } from '../../harness/program.ts';
import { connectV2, type SdkClient } from '../../harness/sdk-clients.ts';
import { startGateway, token, type GatewayOptions } from '../../http/gateway.ts';
import { infoOf, killGroup } from '../../platform/process/node-process.ts';
import { fixtureCommand } from '../upstream/stdio/stdio-server.ts';

interface Bridge {
  readonly url: string;
  readonly warnings: string[];
  /** Of all processes that were started. */
  readonly processes: ProcessInfo[];
  connect(): Promise<SdkClient>;
}

type Kind = 'stdio' | 'HTTP';

async function startBridge(kind: Kind, policyOf?: GatewayOptions['policyOf']): Promise<Bridge> {
  const processes: ProcessInfo[] = [];
  const warnings: string[] = [];
  const onWarning = (warning: string): void => void warnings.push(warning);
  const fixtureUrl = kind === 'HTTP' ? (await startHttpFixture('modern-http')).http : '';
  const connect = (): Upstream =>
    kind === 'HTTP'
      ? new ModernHttpUpstream({ url: fixtureUrl, headers: new Map(), maxMessageBytes: 1024 * 1024, onWarning })
      : new StdioUpstream({
          command: fixtureCommand('modern-only'),
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
        });
  const server = new ManagedServer({ connect, isProcess: kind === 'stdio', isShared: true, warm: 0, onWarning });
  const shared = createSharedModern({ server, onWarning });
  const exchanges = createSameEraExchanges({ shared, areCallersKnown: true, onWarning });
  atEnd('test', async () => {
    await exchanges.close();
    await shared.close();
    await server.close();
  });
  const gateway = await startGateway('HTTP/1.1', { exchanges, policyOf });
  const url = `http://127.0.0.1:${gateway.web.port}/mcp`;
  const connectClient = (): Promise<SdkClient> =>
    connectV2(url, token, { era: 'modern', elicit: () => ({ name: 'Ada' }) });
  return { url, warnings, processes, connect: connectClient };
}

describe.each<Kind>(['stdio', 'HTTP'])('over %s', (kind) => {
  test('clients that count their requests alike get their own answers, progress and log messages', async () => {
    const bridge = await startBridge(kind);
    const clients = await Promise.all([bridge.connect(), bridge.connect(), bridge.connect()]);
    const said = await Promise.all(
      clients.flatMap((client, n) => [1, 2, 3].map((k) => client.call('echo', { text: `${n} ${k}` }))),
    );
    expect(said).toEqual(['0 1', '0 2', '0 3', '1 1', '1 2', '1 3', '2 1', '2 2', '2 3']);
    const steps = await Promise.all(
      clients.map(async (client, n) => {
        const seen: number[] = [];
        await client.call('slow', { steps: n + 2 }, { onprogress: ({ progress }) => seen.push(progress) });
        return seen;
      }),
    );
    expect(steps).toEqual([
      [1, 2],
      [1, 2, 3],
      [1, 2, 3, 4],
    ]);
    await clients[0]?.callWithLog('info', 'slow', { steps: 2 });
    const logs = clients.map((client) =>
      client.notifications().filter(({ method }) => method === 'notifications/message'),
    );
    expect(logs.map(({ length }) => length)).toEqual([2, 0, 0]);
    expect(bridge.warnings).toEqual([]);
  });

  test('a call that asks its client goes on with the state that the server gave it', async () => {
    const { connect } = await startBridge(kind);
    const [a, b] = await Promise.all([connect(), connect()]);
    const [one, three] = await Promise.all([a.call('ask'), b.call('multi-round', { rounds: 3 })]);
    expect([one, three]).toEqual([expect.stringContaining('Ada'), '["Ada","Ada","Ada"]']);
    expect(await a.prompt('greeting')).toBe('Greet Ada');
  });

  test('a call that its client cancels is cancelled in the server', async () => {
    const { connect } = await startBridge(kind);
    const [a, b] = await Promise.all([connect(), connect()]);
    const gone = new AbortController();
    const onprogress = (): void => gone.abort();
    await expect(a.call('slow', { hold: true, steps: 1 }, { signal: gone.signal, onprogress })).rejects.toThrow(
      'aborted',
    );
    await eventually(async () => expect(await b.call('cancelled-calls')).toBe('1'));
  });

  test('each client that listens hears of changes, under its own id', async () => {
    const { connect } = await startBridge(kind);
    const [a, b, c] = await Promise.all([connect(), connect(), connect()]);
    await Promise.all([a.watch('test://greeting'), b.watch('test://greeting')]);
    await c.call('poke');
    const methods = ['tools/list_changed', 'prompts/list_changed', 'resources/list_changed', 'resources/updated'];
    await Promise.all(
      [a, b].flatMap((client) => methods.map((method) => client.nextNotification(`notifications/${method}`))),
    );
    expect(c.notifications()).toEqual([]);
  });

  test('a policy hides tools and refuses their calls', async () => {
    const { connect } = await startBridge(kind, () => createPolicy({ allowTools: ['echo', 'era'] }));
    const client = await connect();
    expect(await client.tools()).toEqual(['era', 'echo']);
    expect(await client.call('era')).toBe('modern');
    await expect(client.call('poke')).rejects.toThrow('tool not allowed: poke');
  });
});

test('a server that is killed costs the calls in flight, and the next one starts another', async () => {
  const { connect, processes } = await startBridge('stdio');
  const [a, b] = await Promise.all([connect(), connect()]);
  let begun = 0;
  const calls = [a, b].map((client) =>
    client.call('slow', { hold: true, steps: 1 }, { onprogress: () => void begun++ }).catch(String),
  );
  await eventually(() => expect(begun).toBe(2));
  killGroup(processes[0]?.pid ?? 0);
  expect(await Promise.all(calls)).toEqual([
    expect.stringContaining('the server was ended by SIGKILL'),
    expect.stringContaining('the server was ended by SIGKILL'),
  ]);
  expect(await Promise.all([a, b].map((client) => client.call('echo', { text: 'again' })))).toEqual(['again', 'again']);
  expect(processes.length).toBe(2);
});
