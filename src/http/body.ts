import type { HttpRequest } from './message.ts';

/** Largest body of a request, in bytes. */
export const defaultMaxBodyBytes: number = 16 * 1024 * 1024;

export type Body = Buffer | 'too large' | 'cut off';

/** Reads a request's body whole, or stops as soon as it is larger than `maxBytes`. Never rejects. */
export function readBody(request: HttpRequest, maxBytes: number): Promise<Body> {
  if (Number(request.headers['content-length']) > maxBytes) return Promise.resolve('too large');
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) {
        request.off('data', onData);
        resolve('too large');
      }
    };
    request.on('data', onData);
    request.once('end', () =>
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)),
    );
    request.once('close', () => resolve('cut off'));
    request.once('error', () => resolve('cut off'));
  });
}
