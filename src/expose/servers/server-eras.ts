import path from 'node:path';
import { pathToFileURL } from 'node:url';

import type { ServerDescription } from '../../bridge/describe-server.ts';
import { RefusingUpstream } from '../../bridge/era/refusing-upstream.ts';
import type { ManagedServer } from '../../bridge/restart/managed-server.ts';
import { RestartingUpstream } from '../../bridge/restart/restarting-upstream.ts';
import type { Upstream } from '../../bridge/upstream/upstream.ts';
import type { Era } from '../../mcp/revisions.ts';
import type { ServerOptions } from '../options.ts';
import type { ServerSource } from './upstream-factory.ts';

/** What the user says of eras. */
export type EraSettings = Pick<
  ServerOptions,
  'upstreamEra' | 'strictEra' | 'roots' | 'maxChildren' | 'parkTtlMs' | 'serializeInteractive'
>;

/** How a legacy server serves modern clients. */
export interface TranslationOptions {
  /** What it is told when it asks for roots outside of a call (MCP 2025-11-25, roots). */
  readonly roots: readonly { readonly uri: string; readonly name: string }[];
  /** Connections to it at once. */
  readonly maxChildren: number;
  /** How long a call waits for what the server has asked, in milliseconds. */
  readonly parkTtlMs: number;
  /** Whether it does one call at a time. */
  readonly serializeInteractive: boolean;
}

/** A person who is asked something, and a client that is asked on, take minutes; a server that waits costs a process. */
const defaultParkTtlMs = 600_000;

/** One process for each caller and kind of client; more than this many on one machine are rarely meant. */
const defaultMaxChildren = 16;

export function translationOptions(settings: EraSettings): TranslationOptions {
  const { roots = [], maxChildren, parkTtlMs, serializeInteractive = false } = settings;
  return {
    roots: roots.map((folder) => {
      const whole = path.resolve(folder);
      return { uri: pathToFileURL(whole).href, name: path.basename(whole) };
    }),
    maxChildren: maxChildren ?? defaultMaxChildren,
    parkTtlMs: parkTtlMs ?? defaultParkTtlMs,
    serializeInteractive,
  };
}

/** The era of clients that a server of this era can serve with a translation only; undefined where nothing is translated. */
export function translatedFor(era: Era, { strictEra = false }: EraSettings): Era | undefined {
  if (strictEra) return undefined;
  return era === 'legacy' ? 'modern' : 'legacy';
}

export interface ServerErasOptions {
  readonly kind: ServerSource['kind'];
  readonly settings: EraSettings & Pick<ServerOptions, 'restart'>;
  readonly server: ManagedServer;
  readonly startTimeoutMs: number;
  readonly onWarning: (message: string) => void;
}

/** What is known of the era of one server, and what follows from it for clients. */
export class ServerEras {
  readonly #options: ServerErasOptions;
  #description: ServerDescription | undefined;

  constructor(options: ServerErasOptions) {
    this.#options = options;
  }

  /** As the server has described itself last; undefined before the first time. */
  get description(): ServerDescription | undefined {
    return this.#description;
  }

  /**
   * The era in which the server is asked what it is. Nothing modern is sent to one that was found to be legacy, since it may
   * have taken the question badly; another one may be replaced by a legacy one at the same URL.
   */
  get askedFor(): Era | 'auto' {
    const { kind, settings } = this.#options;
    if (kind === 'sse') return 'legacy';
    const { upstreamEra = 'auto' } = settings;
    return upstreamEra === 'auto' && this.#description?.era === 'legacy' ? 'legacy' : upstreamEra;
  }

  describedAs(description: ServerDescription): void {
    this.#description = description;
  }

  /** The upstream of a new session. What has not described itself counts as legacy. */
  sessionUpstream(): Upstream {
    const { settings, server, startTimeoutMs, onWarning } = this.#options;
    const { era, protocolVersion } = this.#description ?? { era: 'legacy', protocolVersion: '' };
    if (era === 'modern' && settings.strictEra === true) return new RefusingUpstream([protocolVersion]);
    return new RestartingUpstream({ server, restart: settings.restart ?? 'on-exit', startTimeoutMs, onWarning });
  }
}
