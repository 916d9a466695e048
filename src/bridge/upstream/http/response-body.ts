import type { IncomingMessage } from 'node:http';

/** Reads a response whole, or stops as soon as it is larger than `maxBytes`; then it is destroyed. Never rejects. */
export function readResponseBody(
  response: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | 'too large' | 'cut off'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      resolve('too large');
      response.destroy();
    });
    response.once('close', () => resolve(response.complete ? Buffer.concat(chunks, size) : 'cut off'));
  });
}
