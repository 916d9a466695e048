import { createServer, type RequestListener } from 'node:http';
import { describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../src/platform/clock.ts';
import { ExposeError } from '../../src/errors.ts';
import { capabilities, type Capabilities } from '../../src/tunnel/capabilities.ts';
import { HostOverrides } from '../../src/platform/net/host-overrides.ts';
import { openTunnel, type OpenTunnel, type OpenTunnelOptions, type WayIn } from '../../src/tunnel/open-tunnel.ts';
import type { RequestHandler, TunnelOptions, TunnelProvider } from '../../src/tunnel/provider.ts';
import { eventually, within } from '../harness/eventually.ts';
import { createFakeClock } from '../harness/fake-clock.ts';
import { atEnd } from '../harness/lifetime.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { startFront, type Front } from './probe/world.ts';

const token = 'mcpx_of-these-tests';

interface Options extends Partial<Pick<OpenTunnelOptions, 'mustWork' | 'signal' | 'opening' | 'openingTimeoutMs'>> {
  readonly env?: Record<string, string>;
  readonly front?: Front;
  readonly clock?: Clock;
  readonly capabilities?: Partial<Capabilities>;
  /** What the provider does before it is open. */
  readonly whileOpening?: (options: TunnelOptions) => void;
  /** What it does to close. */
  readonly whileClosing?: () => void;
}

interface World {
  readonly opened: Promise<OpenTunnel>;
  /** What has happened, in order; requests as they arrive at our end. */
  readonly events: string[];
  readonly warnings: string[];
  readonly seen: {
    way?: WayIn;
    /** As the provider calls them. */
    provider?: TunnelOptions;
  };
}

function open(options: Options = {}): World {
  const { front = {}, whileOpening = () => {}, whileClosing = () => {}, env = {}, ...more } = options;
  const events: string[] = [];
  const warnings: string[] = [];
  const seen: World['seen'] = {};
  const ways: Capabilities = { ...capabilities.tailscale, ...options.capabilities };
  const provider: TunnelProvider = {
    name: 'fake',
    capabilities: ways,
    async open(target, tunnelOptions) {
      seen.provider = tunnelOptions;
      whileOpening(tunnelOptions);
      const listener = await target.listen();
      const publicUrl = `http://127.0.0.1:${await startFront(listener.port, front)}`;
      events.push('open');
      return {
        publicUrls: [publicUrl],
        expiresAt: 7,
        async close() {
          events.push('closed');
          await listener.close();
          whileClosing();
        },
      };
    },
  };
  const opened = openTunnel({
    provider,
    environment: {
      env,
      watchdog: { guard() {}, release() {} },
      clock: options.clock ?? systemClock,
      overrides: new HostOverrides(),
    },
    createHandler(way) {
      seen.way = way;
      return handler(events);
    },
    listen,
    localPort: 1,
    token,
    opening: () => undefined,
    readinessPath: '/readyz',
    mustWork: false,
    signal: new AbortController().signal,
    onUrls: () => events.push('urls'),
    onStatus: ({ state }) => events.push(state),
    onWarning: (warning) => warnings.push(warning),
    ...more,
  });
  opened.catch(() => {});
  atEnd('test', async () => await (await opened.catch(() => undefined))?.close().catch(() => {}));
  return { opened, events, warnings, seen };
}

/** A guard, and nothing behind it. */
function handler(events: string[]): RequestHandler {
  return (request, response) => {
    request.resume();
    events.push(`${request.method} ${request.url}`);
    const isRight = request.headers.authorization === `Bearer ${token}`;
    response.statusCode = isRight ? 200 : 401;
    response.end('{}');
  };
}

async function listen(handle: RequestHandler): Promise<{ port: number; close: () => Promise<void> }> {
  const listener: RequestListener = (request, response) => handle(request, response);
  const server = createServer(listener);
  const port = await listenOnLoopback(server);
  return {
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

test('its names are known before the first request comes, and then it is looked through', async () => {
  const { opened, events, warnings, seen } = open();
  const tunnel = await opened;
  expect(events).toEqual(['open', 'urls', 'GET /']);
  expect([tunnel.publicUrls, tunnel.expiresAt, tunnel.maxSilenceMs, tunnel.provider.name]).toEqual([
    [expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)],
    7,
    15_000,
    'fake',
  ]);
  expect([seen.way?.capabilities.name, seen.way?.hasGetStreams(), warnings]).toEqual(['tailscale', true, []]);
});

const opening: OpenTunnelOptions['opening'] = () => ({
  path: '/mcp',
  headers: { Accept: 'text/event-stream' },
  body: 'hello',
  failureIn: (status) => (status === 200 ? 'it does not agree' : `${status}`),
  closing: () => ({ 'mcp-session-id': '1' }),
});

test('when the servers are there it begins as a client would', async () => {
  const { opened, events, warnings } = open({ opening });
  await (await opened).begin(new AbortController().signal);
  expect(events.slice(3)).toEqual(['POST /mcp', 'DELETE /mcp']);
  expect(warnings).toEqual([expect.stringContaining('the server behind it does not: it does not agree')]);
});

test('the answer to that may take as long as it is told', async () => {
  const { opened, events, warnings } = open({ opening, openingTimeoutMs: 200, front: { isSlowAt: '/mcp' } });
  await (await opened).begin(new AbortController().signal);
  expect(warnings).toEqual([expect.stringContaining('no answer within 0.2 s')]);
  expect(events).not.toContain('DELETE /mcp');
});

test('it is known who answers, and since when', async () => {
  const world = open();
  const tunnel = await world.opened;
  expect([tunnel.isVerified(), tunnel.isTrusted()]).toEqual([true, true]);
  world.seen.provider?.onStatus({ state: 'reconnecting', publicUrls: tunnel.publicUrls });
  expect([tunnel.isVerified(), tunnel.isTrusted()]).toEqual([false, true]);
});

test('closed, nobody looks any more', async () => {
  const { opened, events } = open();
  const tunnel = await opened;
  await tunnel.close();
  expect(events.at(-1)).toBe('closed');
});

test('its status is told after its names, from the first moment on', async () => {
  const world = open({
    whileOpening: ({ onStatus }) => onStatus({ state: 'reconnecting', publicUrls: ['https://early.example'] }),
  });
  await world.opened;
  expect(world.events.slice(0, 3)).toEqual(['urls', 'reconnecting', 'open']);
  world.seen.provider?.onStatus({ state: 'up', publicUrls: ['https://later.example'] });
  expect(world.events.slice(-2)).toEqual(['urls', 'up']);
});

describe('a tunnel that cannot be used', () => {
  const elsewhere: Front = { answer: () => ({ status: 200, body: 'another service' }) };

  test('is an error where there is another one to try, and is closed', async () => {
    const { opened, events } = open({ front: elsewhere, mustWork: true });
    await expect(opened).rejects.toMatchObject({
      code: 'tunnel_unreachable',
      message: expect.stringContaining('is not this mcp-expose'),
    });
    expect(events).toEqual(['open', 'urls', 'closed']);
  });

  test('is warned of where there is none', async () => {
    const { opened, warnings } = open({ front: elsewhere });
    const tunnel = await opened;
    expect([tunnel.isVerified(), tunnel.isTrusted()]).toEqual([false, false]);
    expect(warnings).toEqual([]);
    await tunnel.begin(new AbortController().signal);
    expect(warnings).toEqual([expect.stringContaining('is not this mcp-expose')]);
  });

  test.each([true, false])('is an error when it lets everybody in (another one to try: %s)', async (mustWork) => {
    const front: Front = { headers: (headers) => ({ ...headers, authorization: `Bearer ${token}` }) };
    const { opened, events } = open({ front, mustWork });
    await expect(opened).rejects.toMatchObject({ code: 'tunnel_unguarded', exitCode: 4 });
    expect(events.at(-1)).toBe('closed');
  });

  test('since it goes down before it has settled is an error where there is another one to try', async () => {
    const front: Front = {
      answer() {
        world.seen.provider?.onStatus({ state: 'reconnecting', publicUrls: [] });
        return { status: 502 };
      },
    };
    const world: World = open({ front, mustWork: true });
    await expect(world.opened).rejects.toMatchObject({ message: 'the connection was lost before it was usable' });
    expect(world.events.at(-1)).toBe('closed');
  });

  test('since it changes again and again is one, too', async () => {
    const clock = createFakeClock();
    const front: Front = {
      answer() {
        clock.advance(8000);
        world.seen.provider?.onStatus({ state: 'up', publicUrls: [] });
        return { status: 502 };
      },
    };
    const world: World = open({ front, mustWork: true, clock });
    await expect(within(15_000, 'the end', world.opened)).rejects.toMatchObject({ code: 'tunnel_unreachable' });
    expect(world.events.at(-1)).toBe('closed');
  });

  test('and is not wanted any more is closed', async () => {
    const abort = new AbortController();
    const { opened, events } = open({
      front: {
        answer() {
          abort.abort(new Error('not wanted'));
          return { status: 502 };
        },
      },
      signal: abort.signal,
    });
    await expect(within(15_000, 'the end', opened)).rejects.toThrow('not wanted');
    expect(events.at(-1)).toBe('closed');
  });
});

test('a way that lets everybody in later on is closed, and that is told', async () => {
  const clock = createFakeClock();
  let isOpen = false;
  const front: Front = {
    headers: (headers) => (isOpen ? { ...headers, authorization: `Bearer ${token}` } : headers),
  };
  const { opened, events, warnings } = open({
    front,
    clock,
    whileClosing() {
      throw new Error('it cannot be closed');
    },
  });
  const tunnel = await opened;
  await tunnel.begin(new AbortController().signal);
  isOpen = true;
  clock.advance(60_000);
  await eventually(() => expect(events.slice(-2).toSorted()).toEqual(['closed', 'down']), 15_000);
  expect(warnings).toEqual([expect.stringContaining('lets in requests without a token')]);
  expect([tunnel.isVerified(), tunnel.isTrusted()]).toEqual([false, false]);
});

test('streams that answer a GET and are held back are refused from then on', async () => {
  const { opened, seen, warnings } = open({ front: { holdsBack: ({ method }) => method === 'GET' } });
  const tunnel = await opened;
  expect(seen.way?.hasGetStreams()).toBe(true);
  await tunnel.begin(new AbortController().signal);
  expect(seen.way?.hasGetStreams()).toBe(false);
  expect(warnings).toEqual([expect.stringContaining('(405)')]);
});

test('where that is known, they are refused from the beginning', async () => {
  const { opened, seen, warnings } = open({ capabilities: { getStreams: false } });
  await (await opened).begin(new AbortController().signal);
  expect([seen.way?.hasGetStreams(), warnings]).toEqual([false, []]);
});

const proxied = { HTTPS_PROXY: 'http://proxy.example:3128' };

function findsNoWayOut(): never {
  throw new ExposeError('tunnel_unreachable', 'no way out', { hints: ['check the network'] });
}

async function hintsOf(options: Options): Promise<readonly string[]> {
  const { opened } = open({ whileOpening: findsNoWayOut, ...options });
  const error: unknown = await opened.catch((thrown: unknown) => thrown);
  return error instanceof ExposeError ? error.hints : [];
}

describe('a provider that fails where there is a proxy', () => {
  test('says so, unless it goes through that', async () => {
    expect(await hintsOf({ env: proxied })).toEqual([
      'check the network',
      expect.stringContaining('does not go through the proxy'),
    ]);
    expect(await hintsOf({ env: proxied, capabilities: { honoursProxy: true } })).toEqual(['check the network']);
    expect(await hintsOf({})).toEqual(['check the network']);
  });

  test('is refused for what it is where the proxy is no part of it', async () => {
    const refusal = new ExposeError('tunnel_rejected', 'no such account');
    const { opened } = open({
      env: proxied,
      whileOpening() {
        throw refusal;
      },
    });
    await expect(opened).rejects.toBe(refusal);
  });
});
