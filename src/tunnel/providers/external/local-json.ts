import { requestText } from '../../../platform/net/request-text.ts';
import { parseFields, type Fields } from './json-fields.ts';

const timeoutMs = 2000;

export interface LocalJson {
  readonly status: number;
  /** Empty for what is no JSON object. */
  readonly body: Fields;
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
