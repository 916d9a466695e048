import { describe, expect, test } from 'vitest';
import { ExposeError } from '../../../src/errors.ts';
import type { ServerSource } from '../../../src/expose/servers/upstream-factory.ts';
import { ExposedServers, unnamed, type ServerOfRun } from '../../../src/expose/servers/exposed-servers.ts';

const never = new AbortController().signal;

const source = (url: string): ServerSource => ({ kind: 'http', url, headers: new Map() });

interface World {
  readonly servers: ExposedServers;
  /** What happened, in order: `made a`, `begun a`, `described a`, `closed a`. */
  readonly log: string[];
}

/** Servers in memory; a URL that contains `broken` fails to describe itself, `impossible` cannot even be made. */
function world(): World {
  const log: string[] = [];
  const servers = new ExposedServers(async (name = 'the only one', made): Promise<ServerOfRun> => {
    const url = made.kind === 'stdio' ? '' : made.url;
    if (url.includes('impossible')) throw new ExposeError('upstream_url_refused', 'no such URL');
    log.push(`made ${name}`);
    return {
      ...(name === 'the only one' ? {} : { name }),
      mcp: { handle() {} },
      sse: { handle() {}, handleMessage() {} },
      readiness: async () => ({ status: 'ready', sessions: 0, children: 0, restarts: 0 }),
      async start(_signal, isAlone) {
        log.push(`started ${name}${isAlone ? ' alone' : ''}`);
        if (url.includes('broken')) throw new ExposeError('upstream_unreachable', 'nobody there');
        return { name: `server of ${url}`, version: '1', era: 'legacy', protocolVersion: '2025-11-25', tools: 1 };
      },
      endCaller: () => {},
      translatedFor: 'modern',
      mayBeTried: () => !url.includes('taken'),
      drain: async () => void log.push(`drained ${name}`),
      close: async () => void log.push(`closed ${name}`),
    };
  });
  return { servers, log };
}

describe('the servers of a run', () => {
  test('one without a name is at /mcp and is called what it calls itself', async () => {
    const { servers, log } = world();
    await servers.set(new Map([[unnamed, source('a')]]), never);
    expect(servers.reports()).toMatchObject([{ name: 'server of a', path: '/mcp', error: undefined }]);
    expect([servers.directory.unnamed() !== undefined, servers.isAlone()]).toEqual([true, true]);
    expect(log).toEqual(['made the only one', 'started the only one alone']);
  });

  test('several are at their names, and none of them is alone', async () => {
    const { servers, log } = world();
    await servers.set(
      new Map([
        ['a', source('a')],
        ['b', source('b')],
      ]),
      never,
    );
    expect(servers.reports().map(({ path }) => path)).toEqual(['/a/mcp', '/b/mcp']);
    expect([log.toSorted(), servers.isAlone()]).toEqual([['made a', 'made b', 'started a', 'started b'], false]);
  });

  test('the one to try is the first that works and bears it', async () => {
    const { servers } = world();
    const paths = [];
    for (const urls of [['broken', 'taken', 'good'], ['broken'], ['taken'], ['good']]) {
      // oxlint-disable-next-line no-await-in-loop -- they share a run
      await servers.set(new Map(urls.map((url) => [url, source(url)])), never);
      paths.push(servers.pathToTry());
    }
    expect(paths).toEqual(['/good/mcp', undefined, undefined, '/mcp']);
  });

  test('one that gets another name has ended before it is made again', async () => {
    const { servers, log } = world();
    await servers.set(
      new Map([
        ['old', source('a')],
        ['other', source('b')],
      ]),
      never,
    );
    log.length = 0;
    await servers.set(
      new Map([
        ['new', source('a')],
        ['third', source('c')],
      ]),
      never,
    );
    expect(log.slice(0, 2)).toEqual(['closed old', 'made new']);
    expect(log.filter((line) => line.startsWith('closed')).toSorted()).toEqual(['closed old', 'closed other']);
  });

  test('that are broken are served all the same, and of those that are impossible the reason', async () => {
    const { servers } = world();
    await servers.set(
      new Map<string, ServerSource | ExposeError>([
        ['good', source('good')],
        ['bad', source('broken')],
        ['worse', source('impossible')],
        ['worst', new ExposeError('config_unusable', 'it has no command')],
      ]),
      never,
    );
    expect(servers.reports().map(({ name, error }) => [name, error?.message])).toEqual([
      ['good', undefined],
      ['bad', 'nobody there'],
      ['worse', 'no such URL'],
      ['worst', 'it has no command'],
    ]);
    const worst = await servers.directory.find('worst')?.readiness();
    expect(worst).toMatchObject({ status: 'down', reason: 'it has no command' });
  });

  test('that have not changed are not touched by a change', async () => {
    const { servers, log } = world();
    await servers.set(
      new Map([
        ['stays', source('1')],
        ['goes', source('2')],
        ['changes', source('3')],
      ]),
      never,
    );
    const stays = servers.directory.find('stays');
    log.length = 0;
    await servers.set(
      new Map([
        ['comes', source('4')],
        ['changes', source('5')],
        ['stays', source('1')],
      ]),
      never,
    );
    expect(servers.directory.find('stays')).toBe(stays);
    expect(servers.directory.find('goes')).toBeUndefined();
    expect(log.toSorted()).toEqual([
      'closed changes',
      'closed goes',
      'made changes',
      'made comes',
      'started changes',
      'started comes',
    ]);
    // It may hold what the next one needs.
    expect(log.indexOf('closed changes')).toBeLessThan(log.indexOf('made changes'));
    expect(servers.reports().map(({ name }) => name)).toEqual(['comes', 'changes', 'stays']);
  });

  test('tell whether anything has changed', async () => {
    const { servers, log } = world();
    expect(await servers.set(new Map([['a', source('1')]]), never)).toBe(true);
    log.length = 0;
    expect(await servers.set(new Map([['a', source('1')]]), never)).toBe(false);
    expect(log).toEqual([]);
  });

  test('are changed one change after the other', async () => {
    const { servers } = world();
    const changes = ['1', '2', '3'].map((url) => servers.set(new Map([['a', source(url)]]), never));
    await Promise.all(changes);
    expect(servers.reports()).toMatchObject([{ description: { name: 'server of 3' } }]);
  });

  test('are all drained and closed, and nothing comes after', async () => {
    const { servers, log } = world();
    await servers.set(
      new Map([
        ['a', source('1')],
        ['b', source('2')],
      ]),
      never,
    );
    log.length = 0;
    await servers.drain();
    await servers.close();
    await servers.set(new Map([['c', source('3')]]), never);
    expect(log).toEqual(['drained a', 'drained b', 'closed a', 'closed b']);
  });

  test('are not waited for once the start is given up', async () => {
    const { servers } = world();
    const given = AbortSignal.abort(new Error('given up'));
    await expect(servers.set(new Map([['a', source('broken')]]), given)).rejects.toThrow('given up');
    await servers.set(new Map([['a', source('fine')]]), never);
    expect(servers.reports()).toMatchObject([{ description: { name: 'server of fine' } }]);
  });
});
