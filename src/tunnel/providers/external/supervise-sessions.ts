import { createBackoff } from '../../../platform/backoff.ts';
import { sleep, type Clock } from '../../../platform/clock.ts';
import { ExposeError, messageOf } from '../../../errors.ts';
import type { Tunnel, TunnelStatus } from '../../provider.ts';
import type { TunnelSession, TunnelSessionOptions, StartTunnelSession } from './tunnel-session.ts';

/** What will be no different the next time: the user has to do something first. */
const lastingCodes: ReadonlySet<ExposeError['code']> = new Set(['tunnel_rejected', 'tunnel_not_installed', 'usage']);

/** When the user is told that the provider will soon end the tunnel, in minutes before. */
const expiryWarningsMinutes = [10, 1];

const minuteMs = 60_000;

export interface SuperviseSessionsOptions extends Omit<TunnelSessionOptions, 'onUrls'> {
  readonly start: StartTunnelSession;
  readonly onStatus: (status: TunnelStatus) => void;
  readonly clock: Clock;
  /** 0 to 1 as Math.random does. */
  readonly random?: (() => number) | undefined;
}

/**
 * Keeps a tunnel up that others run: starts it again whenever it ends, after a growing pause, and tells of every other URL.
 * Gives up only where the next try would be refused for the same reason. Resolves with the first start.
 * @throws ExposeError what the first start throws.
 */
export async function superviseSessions(options: SuperviseSessionsOptions): Promise<Tunnel> {
  const { start, port, signal, onStatus, onWarning, clock, random } = options;
  const backoff = createBackoff(random === undefined ? { clock } : { clock, random });
  const stop = new AbortController();
  let current: TunnelSession | undefined;
  let publicUrls: readonly string[] = [];
  let lastChange = '';
  let redialReason: string | undefined;
  let cancelWarnings: (() => void)[] = [];

  function report(state: TunnelStatus['state'], reason?: string): void {
    // Tries that fail alike are one change, not many.
    const change = JSON.stringify([state, publicUrls, reason]);
    if (stop.signal.aborted || change === lastChange) return;
    lastChange = change;
    onStatus({ state, publicUrls, ...(reason === undefined ? {} : { reason }) });
  }

  async function begin(until: AbortSignal): Promise<TunnelSession> {
    const begun: { session?: TunnelSession } = {};
    let early: readonly string[] | undefined;
    const session = await start({
      port,
      signal: until,
      onWarning,
      onUrls(urls) {
        early = urls;
        if (begun.session === undefined || current !== begun.session) return;
        publicUrls = urls;
        report('up');
      },
    });
    begun.session = session;
    current = session;
    publicUrls = early ?? session.publicUrls;
    backoff.connected();
    warnOfExpiry(session);
    return session;
  }

  function warnOfExpiry({ expiresAt }: TunnelSession): void {
    cancelExpiryWarnings();
    if (expiresAt === undefined) return;
    const leftMs = expiresAt - clock.now();
    for (const minutes of expiryWarningsMinutes) {
      const delayMs = leftMs - minutes * minuteMs;
      const words = `the tunnel ends in ${minutes} minute${minutes === 1 ? '' : 's'}, then it gets another URL`;
      if (delayMs > 0) cancelWarnings.push(clock.after(delayMs, () => onWarning(words)));
    }
  }

  function cancelExpiryWarnings(): void {
    for (const cancel of cancelWarnings) cancel();
    cancelWarnings = [];
  }

  /** The next life, however many tries it takes; undefined when there will be none. */
  async function beginAgain(): Promise<TunnelSession | undefined> {
    while (!stop.signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      const outcome = await attempt();
      if (!(outcome instanceof ExposeError)) return outcome;
      const isLasting = lastingCodes.has(outcome.code);
      report(isLasting ? 'down' : 'reconnecting', outcome.message);
      if (isLasting) return undefined;
    }
    return undefined;
  }

  async function attempt(): Promise<TunnelSession | ExposeError> {
    await sleep(clock, backoff.next(), stop.signal);
    try {
      stop.signal.throwIfAborted();
      return await begin(stop.signal);
    } catch (error) {
      return error instanceof ExposeError ? error : new ExposeError('internal', messageOf(error), { cause: error });
    }
  }

  /** The life of one and the way to the next. Resolves to that one, or to undefined at the end of all. */
  async function outlive(session: TunnelSession): Promise<TunnelSession | undefined> {
    const reason = await session.ended;
    current = undefined;
    cancelExpiryWarnings();
    // The next one must not find the port or the name of this one in use.
    await session.close();
    if (stop.signal.aborted) return undefined;
    if (redialReason === undefined && lastingCodes.has(reason.code)) {
      report('down', reason.message);
      return undefined;
    }
    report('reconnecting', redialReason ?? reason.message);
    redialReason = undefined;
    const next = await beginAgain();
    if (stop.signal.aborted) await next?.close();
    else if (next !== undefined) report('up');
    return stop.signal.aborted ? undefined : next;
  }

  async function superviseAll(first: TunnelSession): Promise<void> {
    let session: TunnelSession | undefined = first;
    // oxlint-disable-next-line no-await-in-loop -- one life after the other
    while (session !== undefined) session = await outlive(session);
  }

  const first = await begin(signal);
  lastChange = JSON.stringify(['up', publicUrls, undefined]);
  const loop = superviseAll(first);

  return {
    get publicUrls() {
      return publicUrls;
    },
    get expiresAt() {
      return current?.expiresAt;
    },
    redial(reason) {
      if (current === undefined) return;
      redialReason = reason;
      void current.close();
    },
    async close() {
      stop.abort(new ExposeError('internal', 'the tunnel was closed'));
      cancelExpiryWarnings();
      await current?.close();
      await loop;
    },
  };
}
