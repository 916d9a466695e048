import { isDeepStrictEqual } from 'node:util';

import type { ServerReport } from '../options.ts';
import { changesBetween } from '../config/changes.ts';
import type { ServerSource } from './upstream-factory.ts';
import { ExposeError, messageOf, messageOfServer } from '../../errors.ts';
import type { ExposedServer } from './exposed-server.ts';
import { createDirectory, type ServedServer } from '../../http/directory.ts';
import { mcpPath } from '../../http/route.ts';
import { createUnusableServer } from './unusable-server.ts';

/** The name of a server that is the only one and was given none: it is at `/mcp` alone. */
export const unnamed = '';

/** What this needs of a server. */
export type ServerOfRun = ServedServer &
  Pick<ExposedServer, 'start' | 'translatedFor' | 'mayBeTried' | 'endCaller' | 'drain' | 'close'>;

/** Makes a server, which has not been started. */
type CreateServer = (name: string | undefined, source: ServerSource) => Promise<ServerOfRun>;

/** By name; of those that are known to be unusable, the reason. */
type Sources = ReadonlyMap<string, ServerSource | ExposeError>;

interface Entry {
  readonly source: ServerSource | ExposeError;
  /** Undefined when it could not even be made. */
  readonly server: ServerOfRun | undefined;
  report: Pick<ServerReport, 'description' | 'error'>;
}

/** Of a server that has not described itself. */
const unknown: Entry['report'] = { description: undefined, error: undefined };

/** The servers of a run, which may come and go. */
export class ExposedServers {
  readonly directory: ReturnType<typeof createDirectory> = createDirectory();
  readonly #create: CreateServer;
  #entries: ReadonlyMap<string, Entry> = new Map();
  /** The last change, settled or not: one is made after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  readonly #endings = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(create: CreateServer) {
    this.#create = create;
  }

  /** In the order in which they were given. */
  reports(): readonly ServerReport[] {
    return Array.from(this.#entries, ([name, { server, report }]) => ({
      name: name === unnamed ? (report.description?.name ?? 'server') : name,
      path: this.#pathOf(name),
      translatedFor: server?.translatedFor,
      ...report,
    }));
  }

  /** Path of the MCP endpoint of a server that works, and at which a session may be begun to see whether clients can. */
  pathToTry(): string | undefined {
    for (const [name, { server, report }] of this.#entries) {
      if (report.error === undefined && server?.mayBeTried() === true) return this.#pathOf(name);
    }
    return undefined;
  }

  /**
   * Makes these the servers of the run: what has not changed goes on untouched, the rest is ended or started. Resolves
   * when each has said what it is or failed to, which its report tells. One that failed is served all the same: it may
   * recover. Of those that are known to be unusable, the reason is served.
   * @returns whether anything has changed.
   * @throws the signal's reason.
   */
  set(sources: Sources, signal: AbortSignal): Promise<boolean> {
    const done = this.#changing.then(() => this.#replace(sources, AbortSignal.any([signal, this.#closing.signal])));
    this.#changing = Promise.allSettled([done]);
    return done;
  }

  /** Whether there is one server only, usable or not: it needs no name. */
  isAlone(): boolean {
    return this.#entries.size === 1;
  }

  /** Paths of all MCP endpoints, those of `reports` first: a server that is alone has its name as well. */
  paths(): readonly string[] {
    const named = this.directory.all().flatMap(({ name }) => (name === undefined ? [] : [`/${name}${mcpPath}`]));
    const unnamedPath = this.directory.unnamed() === undefined ? [] : [mcpPath];
    return [...new Set([...this.reports().map(({ path }) => path), ...unnamedPath, ...named])];
  }

  /** Ends the sessions and connections of a caller whose credential ended. */
  endCaller(callerId: string): void {
    for (const { server } of this.#entries.values()) server?.endCaller(callerId);
  }

  /** Takes no more requests; resolves when none is waiting for its response. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#entries.values(), async ({ server }) => server?.drain()));
  }

  /** Ends all of them and tells clients that wait; resolves when nothing of them is left. Safe to call twice. */
  close(): Promise<void> {
    this.#closing.abort(new ExposeError('internal', 'mcp-expose is ending'));
    this.#closed ??= this.#endAll();
    return this.#closed;
  }

  async #replace(sources: Sources, signal: AbortSignal): Promise<boolean> {
    if (this.#closing.signal.aborted) return false;
    const before = new Map(Array.from(this.#entries, ([name, { source }]) => [name, source]));
    const { added, removed, changed } = changesBetween(before, sources);
    if (added.length + removed.length + changed.length === 0) return false;
    // What takes the place of another one, or is the same under a new name, may need what that holds: a port, a file, a lock.
    const renamed = removed.filter((name) =>
      added.some((other) => isDeepStrictEqual(before.get(name), sources.get(other))),
    );
    const serverOf = (name: string): ServerOfRun | undefined => this.#entries.get(name)?.server;
    await Promise.all([...changed, ...renamed].map(async (name) => serverOf(name)?.close()));
    const ended = removed.flatMap((name) => (renamed.includes(name) ? [] : (serverOf(name) ?? [])));
    const isNew = new Set([...added, ...changed]);
    const made = Array.from(sources, async ([name, source]): Promise<[string, Entry]> => {
      const kept = isNew.has(name) ? undefined : this.#entries.get(name);
      return [name, kept ?? (await this.#make(name, source))];
    });
    this.#entries = new Map(await Promise.all(made));
    this.directory.set(
      Array.from(this.#entries, ([name, { server, report }]) => {
        const error = report.error ?? new ExposeError('internal', 'the server could not be made');
        return server ?? createUnusableServer(name, error);
      }),
    );
    for (const server of ended) this.#end(server);
    await Promise.all(Array.from(isNew, (name) => this.#start(this.#entries.get(name), signal)));
    return true;
  }

  async #make(name: string, source: ServerSource | ExposeError): Promise<Entry> {
    try {
      if (source instanceof ExposeError) throw source;
      const server = await this.#create(name === unnamed ? undefined : name, source);
      return { source, server, report: unknown };
    } catch (error) {
      return { source, server: undefined, report: { ...unknown, error: asExposeError(error) } };
    }
  }

  async #start(entry: Entry | undefined, signal: AbortSignal): Promise<void> {
    if (entry?.server === undefined) return;
    try {
      const description = await entry.server.start(signal, this.isAlone());
      entry.report = { description, error: undefined };
    } catch (error) {
      signal.throwIfAborted();
      entry.report = { ...unknown, error: asExposeError(error) };
    }
  }

  #end(server: ServerOfRun): void {
    const ending = server.close().finally(() => this.#endings.delete(ending));
    this.#endings.add(ending);
  }

  async #endAll(): Promise<void> {
    await this.#changing;
    for (const { server } of this.#entries.values()) if (server !== undefined) this.#end(server);
    await Promise.all(this.#endings);
  }

  #pathOf(name: string): string {
    return this.isAlone() ? mcpPath : `/${name}${mcpPath}`;
  }
}

function asExposeError(error: unknown): ExposeError {
  return error instanceof ExposeError ? error : new ExposeError('internal', messageOf(error), { cause: error });
}

/** The error if no server works, with a hint for each. */
export function nothingWorks(failures: readonly { readonly name: string; readonly error: ExposeError }[]): ExposeError {
  const [first] = failures;
  if (first === undefined) return new ExposeError('internal', 'no server to start');
  if (failures.length === 1) return first.error;
  const hints = failures.map(({ name, error }) => [messageOfServer(name, error), ...error.hints].join('; '));
  return new ExposeError(first.error.code, `none of the ${failures.length} servers could be started`, { hints });
}
