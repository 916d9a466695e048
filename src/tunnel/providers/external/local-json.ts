import { requestText } from '../../../platform/net/request-text.ts';
import { parseFields, type Fields } from './json-fields.ts';

const timeoutMs = 2000;

export interface LocalJson {
  readonly status: number;
  /** Empty unless the response is a JSON object. */
  readonly body: Fields;
}

/** Whether a `host:port` that a program has logged is on this machine: no other is asked, whatever the log says. */
export function isLocalAddress(address: string): boolean {
  return /^(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}$/.test(address);
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
