import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createDeferred } from '../../../platform/deferred.ts';
import { ExposeError, messageOf } from '../../../errors.ts';
import { abortReason } from '../../../platform/deadline.ts';
import { baseUrl } from '../external/output-event.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { errorNumberIn, firstSentence, ngrokError } from './errors.ts';

/** How long it may take until there is a URL, in milliseconds; the SDK itself never gives up. */
const startTimeoutMs = 30_000;

/** The part of the package `@ngrok/ngrok` 1.x that is used (its index.d.ts). */
export interface NgrokSdk {
  forward(options: NgrokForwardOptions): Promise<NgrokListener>;
}

export interface NgrokForwardOptions {
  readonly addr: string;
  readonly authtoken: string;
  readonly domain?: string;
  /** `closed` when the connection is lost, `connected` when it is restored: the SDK reconnects by itself. */
  readonly onStatusChange?: (status: string) => void;
}

export interface NgrokListener {
  url(): string | null;
  close(): Promise<void>;
}

/** Loads the package if the user has installed it. Undefined when it is missing, or does not run here. */
export async function loadNgrokSdk(): Promise<NgrokSdk | undefined> {
  try {
    const { default: sdk } = await import('@ngrok/ngrok');
    return typeof sdk.forward === 'function' ? sdk : undefined;
  } catch {
    // No such package, or no prebuilt addon for this system.
    return undefined;
  }
}

export interface NgrokSdkSessionOptions extends TunnelSessionOptions {
  readonly sdk: NgrokSdk;
  readonly clock: HostEnvironment['clock'];
  readonly token: string;
  readonly publicUrl?: string | undefined;
}

/** A tunnel of ngrok inside this process. As `StartTunnelSession`. */
export async function startNgrokSdkSession(options: NgrokSdkSessionOptions): Promise<TunnelSession> {
  const { sdk, clock, token, port, publicUrl, signal, onWarning } = options;
  const { promise: ended, resolve: resolveEnded } = createDeferred<ExposeError>();
  let isOver = false;
  let isConnected = true;
  signal.throwIfAborted();

  function takeStatus(status: string): void {
    const wasConnected = isConnected;
    isConnected = status !== 'closed';
    if (!isOver && wasConnected && !isConnected) onWarning('ngrok has lost its connection and makes another one');
  }

  const opening = sdk.forward({
    addr: `127.0.0.1:${port}`,
    authtoken: token,
    ...(publicUrl === undefined ? {} : { domain: new URL(publicUrl).host }),
    onStatusChange: takeStatus,
  });
  const listener = await orNotWanted(opening, clock, signal);
  const url = baseUrl(listener.url() ?? '');
  if (url === undefined) {
    await listener.close();
    throw new ExposeError('tunnel_unavailable', 'ngrok gave a tunnel without a URL');
  }

  let closing: Promise<void> | undefined;
  async function end(): Promise<void> {
    isOver = true;
    await listener.close().catch(() => {});
    resolveEnded(new ExposeError('tunnel_unavailable', 'the tunnel of ngrok was closed'));
  }

  return {
    publicUrls: [url],
    ended,
    close: () => {
      closing ??= end();
      return closing;
    },
  };
}

/** It cannot be cancelled: a listener that comes too late is closed. */
async function orNotWanted(
  opening: Promise<NgrokListener>,
  clock: HostEnvironment['clock'],
  signal: AbortSignal,
): Promise<NgrokListener> {
  const { promise: notWanted, reject } = createDeferred<never>();
  const onAbort = (): void => reject(abortReason(signal));
  const cancelStartTimeout = clock.after(startTimeoutMs, () => {
    reject(new ExposeError('tunnel_unreachable', `ngrok had no URL after ${startTimeoutMs / 1000} s`));
  });
  signal.addEventListener('abort', onAbort, { once: true });
  const opened = opening.catch((error: unknown) => {
    throw sdkError(error);
  });
  try {
    return await Promise.race([opened, notWanted]);
  } catch (error) {
    void opened.then(async (late) => await late.close()).catch(() => {});
    throw error;
  } finally {
    cancelStartTimeout();
    signal.removeEventListener('abort', onAbort);
  }
}

/** The code is at the end of the message, and in a property of its own. */
function sdkError(error: unknown): ExposeError {
  const text = messageOf(error);
  const number = errorNumberIn(text);
  if (number !== undefined) return ngrokError(number, text);
  return new ExposeError('tunnel_unavailable', `ngrok made no tunnel: ${firstSentence(text)}`);
}

/**
 * The token that ngrok's agent would use: from NGROK_AUTHTOKEN, or from its configuration file in the places that
 * https://ngrok.com/docs/agent/config lists for each system, or in that of version 2.
 */
export async function findNgrokToken({ env }: Pick<HostEnvironment, 'env'>): Promise<string | undefined> {
  const given = env['NGROK_AUTHTOKEN'] ?? '';
  if (given !== '') return given;
  const texts = await Promise.all(configurationFiles(env).map((file) => readFile(file, 'utf8').catch(() => '')));
  // At the top level in version 2 of the file, below `agent` in version 3.
  return texts.map((text) => /^[ \t]*authtoken:[ \t]*["']?([^\s"'#]+)/m.exec(text)?.[1]).find(Boolean);
}

function configurationFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  const named = (env['NGROK_CONFIG'] ?? '').split(',').filter((file) => file !== '');
  if (named.length > 0) return named;
  const folders = {
    darwin: path.join(home, 'Library', 'Application Support'),
    win32: env['LOCALAPPDATA'] ?? path.join(home, 'AppData', 'Local'),
    other: env['XDG_CONFIG_HOME'] ?? path.join(home, '.config'),
  };
  const folder =
    process.platform === 'darwin' || process.platform === 'win32' ? folders[process.platform] : folders.other;
  return [path.join(folder, 'ngrok', 'ngrok.yml'), path.join(home, '.ngrok2', 'ngrok.yml')];
}
