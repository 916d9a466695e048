import { get } from 'node:http';

import { createDeferred } from '../../../platform/deferred.ts';

/** Largest answer that is read, in bytes. */
const maxBytes: number = 1024 * 1024;

const timeoutMs = 2000;

export interface LocalJson {
  readonly status: number;
  /** Empty for what is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Asks a program on this machine. Never rejects; undefined when there is no answer. */
export async function getLocalJson(url: string, signal: AbortSignal): Promise<LocalJson | undefined> {
  const { promise, resolve } = createDeferred<LocalJson | undefined>();
  const request = get(url, { agent: false, signal, timeout: timeoutMs }, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) response.destroy();
      else chunks.push(chunk);
    });
    response.on('error', () => {});
    response.once('close', () => {
      resolve({ status: response.statusCode ?? 0, body: objectIn(Buffer.concat(chunks).toString()) });
    });
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => resolve(undefined));
  return await promise;
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? { ...json } : {};
  } catch {
    return {};
  }
}
