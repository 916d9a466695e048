// Several legacy clients of the official SDKs over one process of a server of SDK v2, which may die.
import { expect, test } from 'vitest';
import { LegacyFace } from '../../../src/bridge/modern/legacy-face.ts';
import { createSharedModern } from '../../../src/bridge/modern/shared-modern.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import { execa } from '../../../src/platform/process/execa.ts';
import { eventually } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { cleanEnvironment } from '../../harness/program.ts';
import { connectWith } from '../../harness/sdk-clients.ts';
import { startGateway, token } from '../../http/gateway.ts';
import { fixtureCommand } from '../upstream/stdio/stdio-server.ts';

async function serve(): Promise<{ readonly url: string; readonly processes: number[] }> {
  const processes: number[] = [];
  const watchdog = {
    guard: (group: number) => void processes.push(group),
    release() {},
    killAll() {},
    close: async () => {},
  };
  const server = new ManagedServer({
    connect: () =>
      new StdioUpstream({
        command: fixtureCommand('modern-only'),
        env: cleanEnvironment('/nonexistent'),
        execa,
        watchdog,
        onStderr() {},
        onWarning() {},
      }),
    isProcess: true,
    isShared: true,
    onWarning() {},
  });
  const shared = createSharedModern({ server, onWarning() {} });
  atEnd('test', async () => {
    await shared.close();
    await server.close();
  });
  const { web } = await startGateway('HTTP/1.1', {
    nextUpstream: () => new LegacyFace(shared.attach(), { onWarning() {} }),
  });
  return { url: `http://127.0.0.1:${web.port}/mcp`, processes };
}

test('each is asked what concerns it, and hears of what it wants to hear', async () => {
  const { url, processes } = await serve();
  const names = ['Ada', 'Bob', 'Cyd'];
  const clients = await Promise.all(
    names.map((name, index) =>
      connectWith[index === 0 ? 'v1' : 'v2'](url, token, {
        elicit: () => ({ name }),
        sample: () => name,
        roots: [`file:///${name}`],
      }),
    ),
  );
  const [ada, bob] = clients;
  await ada?.subscribe('test://greeting');
  const answers = await Promise.all(
    clients.flatMap((client) => [client.call('ask-3-kinds'), client.call('multi-round', { rounds: 2 })]),
  );
  for (const [index, name] of names.entries()) {
    expect(answers[2 * index]).toContain(`file:///${name}`);
    expect(JSON.parse(answers[2 * index + 1] ?? '')).toEqual([name, name]);
  }
  await bob?.call('poke');
  await ada?.nextNotification('notifications/resources/updated');
  for (const client of clients) await client.nextNotification('notifications/tools/list_changed'); // oxlint-disable-line no-await-in-loop
  expect(bob?.notifications().map(({ method }) => method)).not.toContain('notifications/resources/updated');
  expect(processes).toHaveLength(1);
});

test('a server that dies fails the calls under way; the sessions go on with another one', async () => {
  const { url, processes } = await serve();
  const client = await connectWith.v1(url, token);
  const onprogress = (): void => void process.kill(processes[0] ?? 0, 'SIGKILL');
  await expect(client.call('slow', { steps: 1, hold: true }, { onprogress })).rejects.toThrow(/SIGKILL/);
  await client.nextNotification('notifications/tools/list_changed');
  expect(await client.call('echo', { text: 'again' })).toBe('again');
  await eventually(() => expect(processes).toHaveLength(2));
});
