import { describe, expect, test } from 'vitest';

import { HostOverrides } from '../../../../src/platform/net/host-overrides.ts';
import { createLocaltunnelProvider } from '../../../../src/tunnel/providers/localtunnel/localtunnel.ts';
import type { TunnelProvider } from '../../../../src/tunnel/provider.ts';
import { eventually } from '../../../harness/eventually.ts';
import { createBinaryWorld, type BinaryWorld } from '../binary-world.ts';
import { startLocaltunnelServer, type LocaltunnelServer } from './server.ts';

function provider(world: BinaryWorld, { url, resolve }: LocaltunnelServer, name?: string): TunnelProvider {
  const environment = { ...world.environment, overrides: new HostOverrides([resolve]) };
  return createLocaltunnelProvider({ environment, server: url, name });
}

async function expectSockets(server: LocaltunnelServer, publicUrl: string, count: number | undefined): Promise<void> {
  await eventually(async () => expect(await server.socketsOf(publicUrl)).toBe(count), 10_000);
}

describe('over a real server', () => {
  test('requests come through, more at a time than there are sockets, and each socket is replaced', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    const { tunnel, statuses } = await world.open(provider(world, server));
    const [url = ''] = tunnel.publicUrls;
    expect(url).toMatch(/^http:\/\/[a-z0-9-]+\.localtunnel\.example:\d+$/);
    const replies = await Promise.all(Array.from({ length: 40 }, () => server.ask(url)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    // The host that the world calls it arrives, and so the guard can tell.
    expect(new Set(world.received.map((headers) => headers.host))).toEqual(new Set([new URL(url).host]));
    expect(world.received).toHaveLength(40);
    await expectSockets(server, url, 10);
    expect(statuses).toEqual([]);
  });

  test('closing leaves nothing', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    const { tunnel } = await world.open(provider(world, server));
    const [url = ''] = tunnel.publicUrls;
    await server.ask(url);
    await tunnel.close();
    await tunnel.close();
    await expectSockets(server, url, undefined);
    expect((await server.ask(url)).status).toBe(404);
  });

  test('when the server dies and comes back, so does the tunnel, with another name', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    const { tunnel, statuses, status } = await world.open(provider(world, server));
    const [before = ''] = tunnel.publicUrls;
    await server.kill();
    const lost = await status(({ state }) => state === 'reconnecting');
    expect(lost.reason).toBe(
      'localtunnel.example:' + server.port + ' takes no connections any more: connection refused',
    );
    const again = await startLocaltunnelServer(server.port);
    const up = await status(({ state }) => state === 'up');
    expect(up.publicUrls).not.toEqual([before]);
    expect((await again.ask(up.publicUrls[0] ?? '')).status).toBe(200);
    expect(statuses.map(({ reason }) => reason)).toContain(
      `could not connect to localtunnel.example:${server.port}: connection refused`,
    );
  });

  test('when it is up but dead, it is opened anew', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    const { tunnel, statuses, status } = await world.open(provider(world, server));
    const [before = ''] = tunnel.publicUrls;
    tunnel.redial?.('nothing comes through');
    const up = await status(({ state }) => state === 'up');
    expect(statuses[0]).toEqual({ state: 'reconnecting', publicUrls: [before], reason: 'nothing comes through' });
    expect((await server.ask(up.publicUrls[0] ?? '')).status).toBe(200);
  });
});

describe('a name', () => {
  test('is given, and given again after the server was gone', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    const { tunnel, status } = await world.open(provider(world, server, 'mine-1'));
    const url = `http://mine-1.localtunnel.example:${server.port}`;
    expect(tunnel.publicUrls).toEqual([url]);
    expect((await server.ask(url)).status).toBe(200);
    await server.kill();
    const again = await startLocaltunnelServer(server.port);
    expect((await status(({ state }) => state === 'up')).publicUrls).toEqual([url]);
    expect((await again.ask(url)).status).toBe(200);
  });

  test('that somebody else has is an error, never silently another one', async () => {
    const world = await createBinaryWorld({ programs: {} });
    const server = await startLocaltunnelServer();
    await world.open(provider(world, server, 'theirs'));
    const error = await world.refusal(provider(world, server, 'theirs'));
    expect([error.code, error.message]).toEqual(['tunnel_rejected', 'the name theirs is taken at localtunnel']);
  });

  test.each(['abc', 'Mine', 'a_b_c_d', '-abcdef', 'a/../../b', 'a'.repeat(70)])(
    '%s would not be taken',
    async (name) => {
      const { environment } = await createBinaryWorld({ programs: {} });
      expect(() => createLocaltunnelProvider({ environment, name })).toThrow(
        expect.objectContaining({ code: 'usage' }),
      );
    },
  );
});

describe('whether it may be tried', () => {
  const { signal } = new AbortController();

  test('not when its name cannot be resolved', async () => {
    const { environment } = await createBinaryWorld({ programs: {} });
    const tunnels = createLocaltunnelProvider({ environment, server: 'https://localtunnel.invalid' });
    expect(await tunnels.unusable?.(signal)).toBe('localtunnel.invalid cannot be resolved');
  });

  test('when the user has an address for it', async () => {
    const { environment } = await createBinaryWorld({ programs: {} });
    const overrides = new HostOverrides(['localtunnel.me:443:127.0.0.1']);
    const tunnels = createLocaltunnelProvider({ environment: { ...environment, overrides } });
    expect(await tunnels.unusable?.(signal)).toBeUndefined();
  });
});
