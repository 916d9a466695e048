import { requestText } from '../../../platform/net/request-text.ts';

const timeoutMs = 2000;

export interface LocalJson {
  readonly status: number;
  /** Empty for what is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
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
    return { status, body: objectIn(text) };
  } catch {
    return undefined;
  }
}

/** The members of a JSON object; none of what is no JSON object. */
export function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? { ...json } : {};
  } catch {
    return {};
  }
}
