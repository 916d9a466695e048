import { existsSync, statSync } from 'node:fs';
import path from 'node:path';

import { parseCommandLine, type ServerCommand } from '../../bridge/upstream/stdio/command-line.ts';
import type { ServerOptions } from '../options.ts';
import type { ServerSource } from './upstream-factory.ts';
import { ExposeError, messageOf } from '../../errors.ts';
import { unnamed } from './exposed-servers.ts';

/** The servers that the user named, by the name under which each is served. */
export interface ServerSources {
  /** Each server, or an error if it cannot be used. */
  current(): ReadonlyMap<string, ServerSource | ExposeError>;
  /** Calls back with all servers after each change of the configuration, one call at a time. Returns how to stop. */
  follow(onChange: (sources: ReadonlyMap<string, ServerSource | ExposeError>) => Promise<void>): () => void;
}

/**
 * Reads the servers to expose from the options, or from the configuration file in them.
 * @throws ExposeError `usage` unless exactly one of `stdio`, `http`, `sse` and `config` is given; `config_unusable`.
 */
export async function readServerSources(
  options: ServerOptions,
  onWarning: (message: string) => void,
): Promise<ServerSources> {
  const { stdio, http, sse, config, cwd, env = new Map(), headers = new Map() } = options;
  const given = Object.entries({ stdio, http, sse, config }).flatMap(([name, value]) =>
    value === undefined ? [] : `--${name}`,
  );
  if (given.length !== 1) {
    const message =
      given.length === 0 ? 'no server specified' : `the server is specified in several ways: ${given.join(', ')}`;
    throw new ExposeError('usage', message, {
      hints: ['give one of --stdio, --http, --sse and --config'],
    });
  }
  if (cwd !== undefined && !isFolder(cwd)) {
    throw new ExposeError('usage', `--cwd ${cwd} is not a folder`, {
      hints: ['it takes an existing folder, in which the server runs'],
    });
  }
  for (const root of options.roots ?? []) {
    if (isFolder(root)) continue;
    throw new ExposeError('usage', `--root ${root} is not a folder`, {
      hints: ['it takes an existing folder, of which servers are told'],
    });
  }
  if (config !== undefined) return readConfigured(config, options, onWarning);
  if (stdio !== undefined) return fixed({ kind: 'stdio', command: commandOf(stdio), cwd, env });
  return http === undefined
    ? fixed({ kind: 'sse', url: sse ?? '', headers })
    : fixed({ kind: 'http', url: http, headers });
}

function fixed(source: ServerSource): ServerSources {
  const sources = new Map([[unnamed, source]]);
  return { current: () => sources, follow: () => () => {} };
}

async function readConfigured(
  file: string,
  options: ServerOptions,
  onWarning: (message: string) => void,
): Promise<ServerSources> {
  const { names: only, watch = false, cwd, env = new Map() } = options;
  const [{ readConfig }, { watchConfig }] = await Promise.all([
    import('../config/read-config.ts'),
    import('../config/watch.ts'),
  ]);
  const read = async (): Promise<{ sources: Map<string, ServerSource | ExposeError>; digest: string }> => {
    const { servers, problems, warnings, digest } = await readConfig(file, { env: process.env, only });
    for (const warning of warnings) onWarning(warning);
    const sources = new Map<string, ServerSource | ExposeError>();
    for (const { served, error } of problems) {
      if (served !== undefined) sources.set(served, error);
      else onWarning([error.message, ...error.hints].join('; '));
    }
    for (const [name, spec] of servers) {
      if (spec.kind !== 'stdio') sources.set(name, spec);
      else {
        const folder = spec.cwd ?? cwd;
        const command = configuredCommand(name, spec.command, folder);
        const isUsable = !(command instanceof ExposeError);
        const variables = new Map([...env, ...spec.env]);
        sources.set(name, isUsable ? { kind: 'stdio', command, cwd: folder, env: variables } : command);
      }
    }
    return { sources, digest };
  };

  const first = await read();
  let current = first.sources;
  return {
    current: () => current,
    follow(onChange) {
      if (!watch) return () => {};
      let queue = Promise.resolve();
      let stopped = false;
      const change = async (): Promise<void> => {
        try {
          const { sources } = await read();
          current = sources;
          await onChange(sources);
        } catch (error) {
          if (!stopped) onWarning(`the change of ${file} was not applied: ${messageOf(error)}`);
        }
      };
      const watched = watchConfig(file, {
        digest: first.digest,
        onChange: () => {
          queue = queue.then(change);
        },
      });
      return () => {
        stopped = true;
        watched.close();
      };
    },
  };
}

/**
 * The command of a configuration. Some files have a whole command line as the program, and some clients split it. So a name
 * with blanks is split, unless such a program exists.
 */
function configuredCommand(
  name: string,
  { file, args }: { readonly file: string; readonly args: readonly string[] },
  cwd: string | undefined,
): ServerCommand | ExposeError {
  const asWritten: ServerCommand = { kind: 'argv', file, args };
  if (!/[ \t\n]/.test(file) || isProgram(file, cwd)) return asWritten;
  try {
    const command = parseCommandLine(file);
    if (command.kind === 'argv') return { ...command, args: [...command.args, ...args] };
    return args.length === 0 ? command : asWritten;
  } catch {
    // The original error would show the command, which may contain a secret.
    return new ExposeError('config_unusable', `server ${JSON.stringify(name)}: "command" cannot be split into words`, {
      hints: ['close its quotes, or write the program as "command" and its arguments as "args"'],
    });
  }
}

function isProgram(file: string, cwd = ''): boolean {
  const isPath = file.includes('/') || file.includes(path.sep);
  const folders = isPath ? [cwd] : (process.env['PATH'] ?? '').split(path.delimiter);
  return folders.some((folder) => existsSync(path.resolve(folder, file)));
}

function isFolder(folder: string): boolean {
  try {
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

/** The command that starts the server, from one line or from words. */
export function commandOf(stdio: NonNullable<ServerOptions['stdio']>): ServerCommand {
  if (typeof stdio === 'string') return parseCommandLine(stdio);
  const [file, ...args] = stdio;
  return { kind: 'argv', file, args };
}
