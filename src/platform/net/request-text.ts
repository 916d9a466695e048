import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

import { createDeadline } from '../deadline.ts';
import { HttpClient, type HttpCall, type HttpClientOptions } from './http-client.ts';

/** Bytes of a body that are read by default: the answer to `initialize` may hold pictures. */
const defaultMaxBytes: number = 1024 * 1024;

export type TextRequest = Omit<HttpCall, 'body' | 'headTimeoutMs' | 'onSent'> &
  Pick<HttpClientOptions, 'env' | 'lookup'> & {
    readonly body?: string;
    /** How long it may take in all, in milliseconds. */
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    /** Default 1 MiB. */
    readonly maxBytes?: number;
    /** The first bytes of the body have arrived, before its end. */
    readonly onFirstBytes?: () => void;
  };

export interface TextResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most about `maxBytes` of it. */
  readonly text: string;
}

/**
 * One request over a connection of its own, and its answer as text. Redirects are not followed.
 * @throws what the network, TLS or a proxy (`ProxyError`) throws; the reason of the signal or of the time-out.
 */
export async function requestText(request: TextRequest): Promise<TextResponse> {
  const { url, env, lookup, body, timeoutMs, maxBytes = defaultMaxBytes, onFirstBytes, ...call } = request;
  const { signal, cancel } = createDeadline(timeoutMs, request.signal);
  const client = new HttpClient({
    url,
    env,
    ...(lookup === undefined ? {} : { lookup }),
    // What is compressed is held back by whoever compresses it.
    headers: { 'User-Agent': 'mcp-expose', 'Accept-Encoding': 'identity' },
    keepAlive: false,
    connectTimeoutMs: timeoutMs,
  });
  const end = (): void => void client.close();
  signal.addEventListener('abort', end);
  try {
    signal.throwIfAborted();
    const outcome = await client.send({ ...call, url, ...(body === undefined ? {} : { body: Buffer.from(body) }) })
      .outcome;
    if (outcome.kind === 'failed') throw outcome.cause;
    const { status, response } = outcome;
    return { status, headers: response.headers, text: await readText(response, maxBytes, onFirstBytes) };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    cancel();
    signal.removeEventListener('abort', end);
    end();
  }
}

/** Resolves with the body as text, at the latest when it has more than `maxBytes`. */
export function readText(response: IncomingMessage, maxBytes: number, onFirstBytes?: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (piece: string) => {
      if (text === '') onFirstBytes?.();
      text += piece;
      if (text.length > maxBytes) resolve(text);
    });
    response.once('end', () => resolve(text));
    response.once('error', reject);
  });
}
