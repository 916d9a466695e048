import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { ServerEras, translationOptions, type ServerErasOptions } from '../../../src/expose/servers/server-eras.ts';
import { eventually } from '../../harness/eventually.ts';
import { createFakeUpstream, type FakeUpstream } from '../../bridge/fake-upstream.ts';
import { agreement, failedResponse, initialize, notification } from '../../bridge/messages.ts';

interface World {
  readonly eras: ServerEras;
  readonly connections: FakeUpstream[];
}

const quiet = { onWarning(): void {} };

function worldOf(settings: ServerErasOptions['settings'], kind: ServerErasOptions['kind'] = 'stdio'): World {
  const connections: FakeUpstream[] = [];
  const { onWarning } = quiet;
  const server = new ManagedServer({
    connect() {
      const connection = createFakeUpstream();
      connections.push(connection);
      return connection;
    },
    isProcess: true,
    isShared: false,
    onWarning,
  });
  return {
    eras: new ServerEras({ kind, settings, server, isShared: false, startTimeoutMs: 1000, onWarning }),
    connections,
  };
}

/** Sends `initialize`, and returns what comes back, if the server is not asked. */
function opened({ eras }: World): string[] {
  const received: string[] = [];
  const upstream = eras.sessionUpstream();
  upstream.start({
    onMessage: ({ bytes }) => received.push(bytes.toString()),
    onClose: () => received.push('closed'),
  });
  upstream.send(initialize);
  upstream.send(notification('notifications/initialized'));
  return received;
}

describe('the era in which a server is asked', () => {
  test.each([
    [{}, 'stdio', undefined, 'auto'],
    [{}, 'http', 'modern', 'auto'],
    [{}, 'http', 'legacy', 'legacy'],
    [{ upstreamEra: 'modern' }, 'stdio', undefined, 'modern'],
    [{ upstreamEra: 'legacy' }, 'http', undefined, 'legacy'],
    [{ upstreamEra: 'modern' }, 'sse', undefined, 'legacy'],
  ] as const)('%j of %s, described as %s: %s', async (settings, kind, described, expected) => {
    const { eras } = worldOf(settings, kind);
    if (described !== undefined) await eras.introducedAs({ era: described, answer: undefined });
    expect(eras.askedFor).toBe(expected);
  });
});

test.each([
  [{}, 'stdio', false],
  [{ upstreamEra: 'modern' }, 'stdio', false],
  [{ upstreamEra: 'legacy' }, 'stdio', true],
  [{}, 'sse', true],
] as const)(
  'with %j, it is known of %s how it is served before it was found out: %s',
  async (settings, kind, before) => {
    const { eras } = worldOf(settings, kind);
    expect(eras.isKnown).toBe(before);
    await eras.introducedAs({ era: 'modern', answer: undefined });
    expect([eras.isKnown, eras.era]).toEqual([true, 'modern']);
  },
);

test.each([
  [{}, 'http', 'auto'],
  [{}, 'stdio', 'legacy'],
  [{ upstreamEra: 'legacy' }, 'http', 'legacy'],
] as const)(
  'with %j, a legacy server of %s that answers as a modern one is asked again as: %s',
  async (settings, kind, asked) => {
    const { eras } = worldOf(settings, kind);
    await eras.introducedAs({ era: 'legacy', answer: undefined });
    eras.doubt();
    expect([eras.isKnown, eras.askedFor]).toEqual([asked === 'legacy', asked]);
    eras.settle();
    // Soon after, it is not asked because of such an answer.
    eras.doubt();
    expect([eras.isKnown, eras.askedFor]).toEqual([true, 'legacy']);
    expect(await eras.introducedAs({ era: 'legacy', answer: undefined })).toBe(false);
    expect(await eras.introducedAs({ era: 'modern', answer: undefined })).toBe(true);
  },
);

describe('a session', () => {
  test.each([
    ['of a server that has not described itself reaches it', undefined, { strictEra: true }, 2],
    ['of a legacy server reaches it', 'legacy', { strictEra: true }, 2],
    ['of a modern server asks it first whether it speaks the legacy era too', 'modern', {}, 1],
  ] as const)('%s', async (_what, described, settings, messages) => {
    const world = worldOf(settings);
    if (described !== undefined) await world.eras.introducedAs({ era: described, answer: undefined });
    opened(world);
    expect(world.connections.map(({ sent }) => sent.length)).toEqual([messages]);
  });

  test('of a modern server at a URL is refused with --strict-era, and the revision is named', async () => {
    const world = worldOf({ strictEra: true }, 'http');
    await world.eras.introducedAs({ era: 'modern', answer: undefined });
    const received = opened(world);
    await eventually(() => expect(received).toHaveLength(1));
    expect(JSON.parse(received[0] ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 0,
      error: {
        code: -32022,
        message: 'the server speaks 2026-07-28 only, and nothing is translated',
        data: { supported: ['2026-07-28'], requested: '2025-11-25' },
      },
    });
    expect(world.connections).toEqual([]);
  });
});

test.each([
  [{}, 'http', undefined, undefined],
  [{}, 'http', 'legacy', 'modern'],
  [{}, 'http', 'modern', 'legacy'],
  [{}, 'stdio', 'modern', 'unknown'],
  [{ strictEra: true }, 'stdio', 'modern', undefined],
] as const)(
  'with %j, a server at %s that is %s serves with a translation: %s',
  async (settings, kind, described, expected) => {
    const { eras } = worldOf(settings, kind);
    if (described !== undefined) await eras.introducedAs({ era: described, answer: undefined });
    expect(eras.translatedFor).toBe(expected);
  },
);

test.each([
  ['answers', agreement(), undefined],
  ['refuses', failedResponse(0), 'legacy'],
] as const)(
  'a modern server over stdio that %s its first legacy client shows who gets a translation',
  async (_what, answer, expected) => {
    const world = worldOf({});
    await world.eras.introducedAs({ era: 'modern', answer: undefined });
    opened(world);
    world.connections[0]?.say(answer);
    expect(world.eras.translatedFor).toBe(expected);
  },
);

describe('how a legacy server serves modern clients', () => {
  test('by default', () => {
    expect(translationOptions({})).toEqual({
      roots: [],
    });
  });

  test('as the user says; folders become absolute URLs', () => {
    const given = { roots: ['.', '/tmp/two words'], maxChildren: 2, parkTtlMs: 1000, serializeInteractive: true };
    expect(translationOptions(given)).toEqual({
      ...given,
      roots: [
        { uri: pathToFileURL(process.cwd()).href, name: path.basename(process.cwd()) },
        { uri: 'file:///tmp/two%20words', name: 'two words' },
      ],
    });
  });
});
