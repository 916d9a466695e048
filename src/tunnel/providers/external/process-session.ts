import { createDeferred } from '../../../platform/deferred.ts';
import { ExposeError } from '../../../errors.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { OutputEvent } from './output-event.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import { startTunnelProcess, type OutputName, type ProcessEnd, type TunnelProcessOptions } from './tunnel-process.ts';

/** How long a program may take until it has a URL, in milliseconds. */
const defaultStartTimeoutMs = 30_000;

export interface ProcessSessionOptions
  extends TunnelSessionOptions, Omit<TunnelProcessOptions, 'environment' | 'onLine'> {
  readonly environment: HostEnvironment;
  /** The name of the program for users. */
  readonly program: string;
  /** How to install the program. */
  readonly installHint: string;
  readonly read: (line: string, output: OutputName) => OutputEvent | undefined;
  /** Whether the program reports separately that requests can come through, so that a URL alone is not enough. */
  readonly saysReady?: boolean;
  /** How long after its first URL it may report a better one, in milliseconds. Default: not at all. */
  readonly settleMs?: number;
  /** The URLs, where the program does not report them. */
  readonly knownUrls?: readonly string[];
  readonly startTimeoutMs?: number;
  /** What to do when there is no URL in time. */
  readonly noUrlHints?: readonly string[];
}

/** A running program that has not reported a URL yet. */
export interface StartingSession {
  /** As `StartTunnelSession`. */
  readonly started: Promise<TunnelSession>;
  /** Handles an event that was not read from a line. */
  take(event: OutputEvent): void;
  /** Ends it; `started` rejects with this error. */
  fail(error: ExposeError): void;
}

/** Runs a program that makes a tunnel, and follows its progress from its output. */
export function startProcessSession(options: ProcessSessionOptions): StartingSession {
  const { environment, program, signal, onUrls, onWarning, read, saysReady = false, settleMs = 0 } = options;
  const { clock } = environment;
  const { startTimeoutMs = defaultStartTimeoutMs, noUrlHints = [] } = options;
  const { promise: started, resolve, reject } = createDeferred<TunnelSession>();
  const { promise: ended, resolve: resolveEnded } = createDeferred<ExposeError>();
  let urls: readonly string[] = options.knownUrls ?? [];
  let isReady = !saysReady;
  let expiresAt: number | undefined;
  let isStarted = false;
  let isOver = false;
  let failure: ExposeError | undefined;
  let cancelSettling: (() => void) | undefined;

  const child = startTunnelProcess({
    ...options,
    onLine(line, output) {
      const event = read(line, output);
      if (event !== undefined) take(event);
    },
  });
  const cancelStartTimeout = clock.after(startTimeoutMs, () => {
    const what = urls.length === 0 ? 'had no URL' : 'was not connected';
    const hints = [...(urls.length === 0 ? noUrlHints : []), ...lastWords()];
    fail(new ExposeError('tunnel_unreachable', `${program} ${what} after ${startTimeoutMs / 1000} s`, { hints }));
  });
  const onAbort = (): void => fail(abortError(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  void child.ended.then((how) => finish(how));
  startWhenKnown();

  function take(event: OutputEvent): void {
    switch (event.kind) {
      case 'urls':
        takeUrls(event.urls);
        return;
      case 'ready':
        isReady = true;
        startWhenKnown();
        return;
      case 'expiry':
        expiresAt = clock.now() + event.inMs;
        return;
      case 'failure':
        fail(event.error);
        return;
      case 'warning':
        onWarning(event.message);
    }
  }

  function takeUrls(found: readonly string[]): void {
    if (found.length === 0 || found.join(' ') === urls.join(' ')) return;
    urls = found;
    if (isStarted) onUrls(urls);
    else startWhenKnown();
  }

  function startWhenKnown(): void {
    if (isStarted || isOver || failure !== undefined || !isReady || urls.length === 0) return;
    cancelSettling?.();
    cancelSettling = clock.after(settleMs, begin);
  }

  function begin(): void {
    if (isStarted || isOver || failure !== undefined) return;
    isStarted = true;
    stopStarting();
    resolve({
      publicUrls: urls,
      get expiresAt() {
        return expiresAt;
      },
      ended,
      close: child.close,
    });
  }

  function stopStarting(): void {
    cancelStartTimeout();
    cancelSettling?.();
    signal.removeEventListener('abort', onAbort);
  }

  /** Before the session has started, `started` rejects when nothing of it is left; afterwards, the session ends. */
  function fail(error: ExposeError): void {
    if (isOver) return;
    failure ??= error;
    void child.close();
  }

  async function finish(how: ProcessEnd): Promise<void> {
    isOver = true;
    if (!isStarted) stopStarting();
    await child.close();
    const error = failure ?? endError(how);
    resolveEnded(error);
    if (!isStarted) reject(signal.aborted ? signal.reason : error);
  }

  function endError({ how, startError }: ProcessEnd): ExposeError {
    if (startError === 'ENOENT') {
      return new ExposeError('tunnel_not_installed', `${program} is not installed`, { hints: [options.installHint] });
    }
    if (startError !== undefined) {
      return new ExposeError('tunnel_unavailable', `${program} could not be started: ${startError || how}`);
    }
    const message = isStarted ? `${program} ended with ${how}` : `${program} ended with ${how} before it had a URL`;
    return new ExposeError('tunnel_unavailable', message, { hints: lastWords() });
  }

  function lastWords(): string[] {
    return child.lastWords().map((line) => `${program} said: ${line}`);
  }

  return { started, take, fail };
}

function abortError(signal: AbortSignal): ExposeError {
  const { reason }: { readonly reason?: unknown } = signal;
  return reason instanceof ExposeError
    ? reason
    : new ExposeError('tunnel_unavailable', 'the tunnel is no longer needed');
}
