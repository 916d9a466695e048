import { sleep, type Clock } from '../../../platform/clock.ts';
import { requestText } from '../../../platform/net/request-text.ts';
import { parseFields, type Fields } from '../../../platform/json-fields.ts';

const timeoutMs = 2000;

/** Between two requests of `pollLocal`, in milliseconds. */
const pollMs = 250;

export interface LocalJson {
  readonly status: number;
  /** Empty unless the response is a JSON object. */
  readonly body: Fields;
}

/**
 * Asks the program behind a `host:port` that it has logged, again and again until the signal aborts. Only on this machine: no
 * other is asked, whatever the log says.
 */
export async function pollLocal(
  address: string,
  clock: Clock,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<void> {
  if (!/^(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}$/.test(address)) return;
  /* oxlint-disable no-await-in-loop -- a look, then a pause */
  while (!signal.aborted) {
    await look();
    await sleep(clock, pollMs, signal);
  }
  /* oxlint-enable no-await-in-loop */
}

/** Asks a program on this machine. Never rejects; undefined when there is no answer. */
export async function getLocalJson(url: string, signal: AbortSignal): Promise<LocalJson | undefined> {
  try {
    const { status, text } = await requestText({
      method: 'GET',
      url: new URL(url),
      headers: {},
      env: {},
      timeoutMs,
      signal,
    });
    return { status, body: parseFields(text) };
  } catch {
    return undefined;
  }
}
