import path from 'node:path';
import { pathToFileURL } from 'node:url';

import type { Introduction, ServerDescription } from '../../bridge/describe-server.ts';
import type { LegacyExchangesOptions } from '../../bridge/exchange/legacy-exchanges.ts';
import type { ManagedServer } from '../../bridge/restart/managed-server.ts';
import { RestartingUpstream } from '../../bridge/restart/restarting-upstream.ts';
import type { Upstream } from '../../bridge/upstream/upstream.ts';
import type { RpcResponse } from '../../mcp/json-rpc.ts';
import type { Era } from '../../mcp/revisions.ts';
import type { ServerOptions, ServerReport } from '../options.ts';
import type { ModernServer } from './modern-server.ts';
import type { ServerSource } from './upstream-factory.ts';

/** What the user says of eras. */
export type EraSettings = Pick<
  ServerOptions,
  'upstreamEra' | 'strictEra' | 'roots' | 'maxChildren' | 'parkTtlMs' | 'serializeInteractive'
>;

type TranslationOptions = Pick<LegacyExchangesOptions, 'roots' | 'maxChildren' | 'parkTtlMs' | 'serializeInteractive'>;

/** How a legacy server serves modern clients. */
export function translationOptions(settings: EraSettings): TranslationOptions {
  const { roots = [], maxChildren, parkTtlMs, serializeInteractive } = settings;
  const named = roots.map((folder) => {
    const whole = path.resolve(folder);
    return { uri: pathToFileURL(whole).href, name: path.basename(whole) };
  });
  return { roots: named, maxChildren, parkTtlMs, serializeInteractive };
}

export interface ServerErasOptions {
  readonly kind: ServerSource['kind'];
  readonly settings: EraSettings & Pick<ServerOptions, 'restart'>;
  readonly server: ManagedServer;
  /** Whether one process is to serve all sessions. */
  readonly isShared: boolean;
  readonly startTimeoutMs: number;
  readonly onWarning: (message: string) => void;
}

/** How long a doubt is not followed by another one, in milliseconds: a server may answer many requests in this way. */
const doubtIntervalMs = 5000;

/** What is known of the era of one server, and what follows from it for clients. */
export class ServerEras {
  readonly #options: ServerErasOptions;
  #description: ServerDescription | undefined;
  #introduction: Introduction | undefined;
  #modern: ModernServer | undefined;
  #isDoubted = false;
  #doubtedAt = -Infinity;

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
    const isLegacy = this.#introduction?.era === 'legacy' && !this.#isDoubted;
    return upstreamEra === 'auto' && isLegacy ? 'legacy' : upstreamEra;
  }

  /**
   * Loads what a modern server needs.
   * @returns whether the server was of the other era before.
   */
  async introducedAs(introduction: Introduction): Promise<boolean> {
    const before = this.#introduction?.era;
    if (introduction.era === 'modern') this.#modern ??= await this.#load();
    this.#introduction = introduction;
    return before !== undefined && before !== introduction.era;
  }

  /** The server has answered as one of the other era does: at its URL, there may be another one now. */
  doubt(): void {
    const { kind, settings } = this.#options;
    const now = performance.now();
    if (kind !== 'http' || (settings.upstreamEra ?? 'auto') !== 'auto' || now - this.#doubtedAt < doubtIntervalMs)
      return;
    this.#doubtedAt = now;
    this.#isDoubted = true;
  }

  /** It is asked again, or was in vain. */
  settle(): void {
    this.#isDoubted = false;
  }

  describedAs(description: ServerDescription): void {
    this.#description = description;
  }

  /** Whether no answer of the server can change how it is served. */
  get isKnown(): boolean {
    return !this.#isDoubted && (this.#introduction !== undefined || this.askedFor === 'legacy');
  }

  /** The newest answer in which the server has said what it is, if there was one. */
  get introduction(): RpcResponse | undefined {
    return this.#introduction?.answer;
  }

  /** A server that has not told counts as legacy. */
  get era(): Era {
    return this.#introduction?.era ?? 'legacy';
  }

  /** As in `ServerReport`; undefined before the server has said what it is. */
  get translatedFor(): ServerReport['translatedFor'] {
    if (this.#introduction === undefined || this.#options.settings.strictEra === true) return undefined;
    if (this.era === 'legacy') return 'modern';
    const { speaksLegacy } = this.#modern ?? {};
    if (speaksLegacy === undefined) return 'unknown';
    return speaksLegacy ? undefined : 'legacy';
  }

  /** Whether legacy clients may find no way to the server. */
  get mayRefuseSessions(): boolean {
    return this.era === 'modern' && this.#options.settings.strictEra === true;
  }

  /** Undefined before the server was found to be modern. */
  get modern(): ModernServer | undefined {
    return this.#modern;
  }

  /** The upstream of a new session. */
  sessionUpstream(): Upstream {
    return this.era === 'modern' && this.#modern !== undefined ? this.#modern.sessionUpstream() : this.#ownUpstream();
  }

  /** Ends the connection to a modern server; resolves when nothing is left of it. */
  async close(): Promise<void> {
    await this.#modern?.close();
  }

  async #load(): Promise<ModernServer> {
    const { ModernServer: Server } = await import('./modern-server.ts');
    const { kind, isShared, settings, server, onWarning } = this.#options;
    // Over HTTP, a modern server gives legacy clients less than it can (no requests of its own, no changes).
    const own = kind === 'stdio' && !isShared ? (): Upstream => this.#ownUpstream() : undefined;
    return new Server({ server, own, isStrict: settings.strictEra === true, onWarning });
  }

  #ownUpstream(): Upstream {
    const { settings, server, startTimeoutMs, onWarning } = this.#options;
    return new RestartingUpstream({ server, restart: settings.restart ?? 'on-exit', startTimeoutMs, onWarning });
  }
}
