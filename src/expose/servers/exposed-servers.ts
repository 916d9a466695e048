import { isDeepStrictEqual } from 'node:util';

import type { ServerReport } from '../options.ts';
import { changesBetween } from '../config/changes.ts';
import type { ServerSource } from './upstream-factory.ts';
import { ExposeError, messageOf } from '../../errors.ts';
import type { ExposedServer } from './exposed-server.ts';
import { createDirectory, type Directory, type ServedServer } from '../../http/directory.ts';
import { mcpPath } from '../../http/route.ts';
import { createUnusableServer } from './unusable-server.ts';

/** The name of a server that is the only one and was given none: it is at `/mcp` alone. */
export const unnamed = '';

/** What this needs of a server. */
export type ServerOfRun = ServedServer & Pick<ExposedServer, 'start' | 'mayBeTried' | 'drain' | 'close'>;

export interface ExposedServersOptions {
  /** Makes a server, which has not been started. */
  readonly create: (name: string | undefined, source: ServerSource) => Promise<ServerOfRun>;
}

/** The servers of a run, which may come and go. */
export interface ExposedServers {
  readonly directory: Directory;
  /** In the order in which they were given. */
  reports(): readonly ServerReport[];
  /** Path of the MCP endpoint of a server that works, and at which a session may be begun to see whether clients can. */
  pathToTry(): string | undefined;
  /**
   * Makes these the servers of the run: what has not changed goes on untouched, the rest is ended or started. Resolves
   * when each has said what it is or failed to, which its report tells. One that failed is served all the same: it may
   * get well. Of those that are known to be unusable, the reason is served.
   * @returns whether anything has changed.
   * @throws the signal's reason.
   */
  set(sources: ReadonlyMap<string, ServerSource | ExposeError>, signal: AbortSignal): Promise<boolean>;
  /** Whether there is one server only, usable or not: it needs no name. */
  isAlone(): boolean;
  /** Takes no more requests; resolves when none is waiting for its response. */
  drain(): Promise<void>;
  /** Ends all of them and tells clients that wait; resolves when nothing of them is left. Safe to call twice. */
  close(): Promise<void>;
}

interface Entry {
  readonly source: ServerSource | ExposeError;
  /** Undefined when it could not even be made. */
  readonly server: ServerOfRun | undefined;
  report: Pick<ServerReport, 'description' | 'error'>;
}

export function createExposedServers({ create }: ExposedServersOptions): ExposedServers {
  const directory = createDirectory();
  let entries = new Map<string, Entry>();
  let queue: Promise<unknown> = Promise.resolve();
  const endings = new Set<Promise<void>>();
  let closed = false;
  let allEnded: Promise<void> | undefined;
  const closing = new AbortController();

  function end(server: ServerOfRun): Promise<void> {
    const ending = server.close().finally(() => endings.delete(ending));
    endings.add(ending);
    return ending;
  }

  async function make(name: string, source: ServerSource | ExposeError): Promise<Entry> {
    try {
      if (source instanceof ExposeError) throw source;
      const server = await create(name === unnamed ? undefined : name, source);
      return { source, server, report: { description: undefined, error: undefined } };
    } catch (error) {
      return { source, server: undefined, report: { description: undefined, error: asExposeError(error) } };
    }
  }

  async function start(entry: Entry, isAlone: boolean, signal: AbortSignal): Promise<void> {
    const { server } = entry;
    if (server === undefined) return;
    try {
      entry.report = { description: await server.start(signal, isAlone), error: undefined };
    } catch (error) {
      signal.throwIfAborted();
      entry.report = { description: undefined, error: asExposeError(error) };
    }
  }

  async function replace(
    sources: ReadonlyMap<string, ServerSource | ExposeError>,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (closed) return false;
    const before = new Map([...entries].map(([name, { source }]) => [name, source]));
    const { added, removed, changed } = changesBetween(before, sources);
    if (added.length + removed.length + changed.length === 0) return false;
    // What takes the place of another one, or is the same under a new name, may need what that holds: a port, a file, a lock.
    const renamed = removed.filter((name) =>
      added.some((other) => isDeepStrictEqual(before.get(name), sources.get(other))),
    );
    await Promise.all([...changed, ...renamed].map(async (name) => entries.get(name)?.server?.close()));
    const started = new Map(
      await Promise.all(
        [...added, ...changed].map(async (name): Promise<[string, Entry]> => {
          const source = sources.get(name);
          if (source === undefined) throw new Error('unreachable');
          return [name, await make(name, source)];
        }),
      ),
    );
    const ended = removed.flatMap((name) => (renamed.includes(name) ? [] : (entries.get(name)?.server ?? [])));
    const next = new Map<string, Entry>();
    for (const name of sources.keys()) {
      const entry = started.get(name) ?? entries.get(name);
      if (entry !== undefined) next.set(name, entry);
    }
    entries = next;
    directory.set(
      [...entries].map(
        ([
          name,
          {
            server,
            report: { error },
          },
        ]) => {
          if (server !== undefined) return server;
          return createUnusableServer(name, error ?? new ExposeError('internal', 'the server could not be made'));
        },
      ),
    );
    for (const server of ended) void end(server);
    await Promise.all([...started.values()].map((entry) => start(entry, sources.size === 1, signal)));
    return true;
  }

  async function endAll(): Promise<void> {
    await queue;
    for (const { server } of entries.values()) if (server !== undefined) void end(server);
    await Promise.all(endings);
  }

  const pathOf = (name: string): string => (entries.size === 1 ? mcpPath : `/${name}${mcpPath}`);

  return {
    directory,
    reports: () =>
      [...entries].map(([name, { report }]) => ({
        name: name === unnamed ? (report.description?.name ?? 'server') : name,
        path: pathOf(name),
        ...report,
      })),
    pathToTry() {
      const found = [...entries].find(
        ([, { server, report }]) => report.error === undefined && server?.mayBeTried() === true,
      );
      return found === undefined ? undefined : pathOf(found[0]);
    },
    set(sources, signal) {
      const done = queue.then(() => replace(sources, AbortSignal.any([signal, closing.signal])));
      queue = Promise.allSettled([done]);
      return done;
    },
    isAlone: () => entries.size === 1,
    async drain() {
      await Promise.all([...entries.values()].map(async ({ server }) => server?.drain()));
    },
    close() {
      closed = true;
      closing.abort(new ExposeError('internal', 'mcp-expose is ending'));
      allEnded ??= endAll();
      return allEnded;
    },
  };
}

function asExposeError(error: unknown): ExposeError {
  return error instanceof ExposeError ? error : new ExposeError('internal', messageOf(error), { cause: error });
}
