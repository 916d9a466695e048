import { ExposeError, messageOf } from '../errors.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep, type Clock } from '../platform/clock.ts';
import type { TokenBucket } from '../platform/token-bucket.ts';
import type { Tunnel, TunnelStatus } from './provider.ts';

/** Errors that another attempt cannot fix: the user has to act first. */
const fatalCodes: ReadonlySet<ExposeError['code']> = new Set(['tunnel_rejected', 'tunnel_not_installed', 'usage']);

/** When to warn that the provider will end the tunnel, in minutes before. */
const expiryWarningsMinutes = [10, 1];

const minuteMs = 60_000;

/**
 * Longest wait between two attempts while a session that was sent away still works, in milliseconds: new clients need the next
 * one as soon as its peer listens.
 */
const sentAwayDelayMs = 1_000;

/** One connection of a tunnel, from its first URL to its end. */
export interface TunnelSession {
  /** As `Tunnel.publicUrls`, at the start of the session. */
  readonly publicUrls: readonly string[];
  /** As `Tunnel.expiresAt`. */
  readonly expiresAt?: number | undefined;
  /** Resolves with the reason when the session has ended, by `close` or by itself. Never rejects. */
  readonly ended: Promise<ExposeError>;
  /** Resolves when the peer asks for a new session while this one still works. */
  readonly goaway?: Promise<void>;
  /** The next session has started: this one ends when its open requests are done. */
  finish?(): void;
  /** Ends the session; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}

/** What a provider gets to start a session. */
export interface TunnelSessionOptions {
  /** Port on 127.0.0.1 that the tunnel forwards to. */
  readonly port: number;
  readonly signal: AbortSignal;
  /** The URLs have changed during the session: the previous ones may no longer work. */
  readonly onUrls: (publicUrls: readonly string[]) => void;
  readonly onWarning: (message: string) => void;
}

/** A failed attempt to start a session. */
export interface ConnectFailure {
  readonly error: ExposeError;
  /** True when another attempt cannot succeed. */
  readonly isFatal: boolean;
  /** Earliest time for the next attempt, in milliseconds from now. */
  readonly retryAfterMs?: number;
}

export interface ReconnectOptions {
  /**
   * One attempt. Resolves once the session has a URL and calls `onUrls` whenever that changes. A thrown error is a failure,
   * too, fatal if its code is.
   */
  readonly connect: (
    signal: AbortSignal,
    onUrls: (publicUrls: readonly string[]) => void,
  ) => Promise<TunnelSession | ConnectFailure>;
  /** Aborts the first attempt. */
  readonly signal: AbortSignal;
  readonly onStatus: (status: TunnelStatus) => void;
  readonly onWarning: (message: string) => void;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
  /** How often the back-off may begin anew although the last session was short or attempts have failed; never by default. */
  readonly promptRedials?: TokenBucket;
  /** The longest wait between two attempts for now, in milliseconds; undefined for that of `Backoff`. */
  readonly maxDelayMs?: () => number | undefined;
  /** Frees what the sessions need: called when the tunnel is closed, or could not be opened. */
  readonly release: () => void | Promise<void>;
}

/**
 * Opens a tunnel and keeps it open: when a session ends, it reconnects with back-off until an attempt succeeds or fails for
 * good. On `goaway` the new session starts before the old one finishes.
 * @throws the error of the first attempt, which is not repeated.
 */
export async function openReconnecting(options: ReconnectOptions): Promise<Required<Tunnel>> {
  const tunnel = new ReconnectingTunnel(options);
  try {
    await tunnel.open();
    return tunnel;
  } catch (error) {
    await options.release();
    throw error;
  }
}

class ReconnectingTunnel implements Required<Tunnel> {
  readonly #options: ReconnectOptions;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  /** The session that takes new requests; undefined while there is none. */
  #current: TunnelSession | undefined;
  /** Sessions that finish their open requests. Until they have ended, their URLs work. */
  readonly #finishing = new Set<TunnelSession>();
  #publicUrls: readonly string[] = [];
  #state: TunnelStatus['state'] = 'reconnecting';
  #lastStatus = '';
  #redialReason: string | undefined;
  #expiryTimers: (() => void)[] = [];
  #loop: Promise<void> | undefined;

  constructor(options: ReconnectOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#backoff = new Backoff(clock, random);
  }

  get publicUrls(): readonly string[] {
    return this.#publicUrls;
  }

  get expiresAt(): number | undefined {
    return this.#current?.expiresAt;
  }

  async open(): Promise<void> {
    const first = await this.#connect(this.#options.signal);
    if ('error' in first) throw first.error;
    this.#lastStatus = JSON.stringify(['up', this.#publicUrls, undefined]);
    this.#loop = this.#run(first);
  }

  redial(reason: string): void {
    if (this.#current === undefined) return;
    this.#redialReason = reason;
    void this.#current.close();
  }

  async close(): Promise<void> {
    this.#stop.abort(new ExposeError('internal', 'the tunnel was closed'));
    this.#cancelExpiryWarnings();
    const open = this.#current === undefined ? [...this.#finishing] : [this.#current, ...this.#finishing];
    await Promise.all(open.map((session) => session.close()));
    await this.#loop;
    await this.#options.release();
  }

  async #run(first: TunnelSession): Promise<void> {
    let session: TunnelSession | undefined = first;
    // oxlint-disable-next-line no-await-in-loop -- one session after the other
    while (session !== undefined) session = await this.#replace(session);
  }

  /** Waits until a session needs a replacement. Resolves to the replacement; undefined when the tunnel has ended. */
  async #replace(session: TunnelSession): Promise<TunnelSession | undefined> {
    const goaway = session.goaway?.then(() => undefined);
    const end = await Promise.race(goaway === undefined ? [session.ended] : [session.ended, goaway]);
    this.#current = undefined;
    this.#cancelExpiryWarnings();
    if (end === undefined) {
      this.#state = 'reconnecting';
      void this.#letFinish(session);
    } else {
      // The next session must not find its port or name in use.
      await session.close();
      const isFatal = this.#redialReason === undefined && fatalCodes.has(end.code);
      this.#report(isFatal ? 'down' : 'reconnecting', this.#redialReason ?? end.message);
      if (isFatal) return undefined;
    }
    this.#redialReason = undefined;
    this.#beginBackoff();
    const next = await this.#reconnect();
    session.finish?.();
    return next;
  }

  async #letFinish(session: TunnelSession): Promise<void> {
    this.#finishing.add(session);
    const { message } = await session.ended;
    this.#finishing.delete(session);
    if (this.#state !== 'reconnecting' || this.#finishing.size > 0) return;
    // The attempts so far were made while the peer was leaving; the one that takes its place may only start now.
    this.#beginBackoff();
    this.#report('reconnecting', message);
  }

  #beginBackoff(): void {
    if (this.#options.promptRedials?.take(1) === true) this.#backoff.reset();
  }

  /** The next session, however many attempts it takes; undefined after a fatal failure or `close`. */
  async #reconnect(): Promise<TunnelSession | undefined> {
    let retryAfterMs: number | undefined;
    /* oxlint-disable no-await-in-loop -- one attempt after the other */
    while (!this.#stop.signal.aborted) {
      const limitMs = this.#finishing.size > 0 ? sentAwayDelayMs : this.#options.maxDelayMs?.();
      const delayMs = this.#backoff.next(retryAfterMs, limitMs);
      await sleep(this.#options.clock, delayMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return undefined;
      const result = await this.#connect(this.#stop.signal).catch(failureOf);
      if ('error' in result) {
        if (result.isFatal || this.#finishing.size === 0) {
          this.#report(result.isFatal ? 'down' : 'reconnecting', result.error.message);
        }
        if (result.isFatal) return undefined;
        retryAfterMs = result.retryAfterMs;
      } else if (this.#stop.signal.aborted) {
        await result.close();
      } else {
        this.#report('up');
        return result;
      }
    }
    /* oxlint-enable no-await-in-loop */
    return undefined;
  }

  async #connect(signal: AbortSignal): Promise<TunnelSession | ConnectFailure> {
    const started: { session?: TunnelSession; urls?: readonly string[] } = {};
    const result = await this.#options.connect(signal, (urls) => {
      started.urls = urls;
      if (started.session === undefined || this.#current !== started.session) return;
      this.#publicUrls = urls;
      this.#report('up');
    });
    if ('error' in result) return result;
    started.session = result;
    this.#current = result;
    this.#state = 'up';
    this.#publicUrls = started.urls ?? result.publicUrls;
    this.#backoff.connected();
    this.#warnOfExpiry(result);
    return result;
  }

  #report(state: TunnelStatus['state'], reason?: string): void {
    this.#state = state;
    // Attempts that fail alike are reported once.
    const status = JSON.stringify([state, this.#publicUrls, reason]);
    if (this.#stop.signal.aborted || status === this.#lastStatus) return;
    this.#lastStatus = status;
    this.#options.onStatus({ state, publicUrls: this.#publicUrls, ...(reason === undefined ? {} : { reason }) });
  }

  #warnOfExpiry({ expiresAt }: TunnelSession): void {
    this.#cancelExpiryWarnings();
    if (expiresAt === undefined) return;
    const { clock, onWarning } = this.#options;
    const leftMs = expiresAt - clock.now();
    for (const minutes of expiryWarningsMinutes) {
      const delayMs = leftMs - minutes * minuteMs;
      const message = `the tunnel ends in ${minutes} minute${minutes === 1 ? '' : 's'}, then it gets another URL`;
      if (delayMs > 0) this.#expiryTimers.push(clock.after(delayMs, () => onWarning(message)));
    }
  }

  #cancelExpiryWarnings(): void {
    for (const cancel of this.#expiryTimers) cancel();
    this.#expiryTimers = [];
  }
}

function failureOf(thrown: unknown): ConnectFailure {
  if (!(thrown instanceof ExposeError)) {
    return { error: new ExposeError('internal', messageOf(thrown), { cause: thrown }), isFatal: false };
  }
  return { error: thrown, isFatal: fatalCodes.has(thrown.code) };
}
