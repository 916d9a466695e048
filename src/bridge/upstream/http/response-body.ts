import type { IncomingMessage } from 'node:http';

import { PieceCollector } from '../../../platform/bytes.ts';

/** Reads a response whole, or stops as soon as it is larger than `maxBytes`; then it is destroyed. Never rejects. */
export function readResponseBody(
  response: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | 'too large' | 'cut off'> {
  return new Promise((resolve) => {
    const chunks = new PieceCollector();
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunks.length <= maxBytes) return;
      chunks.take();
      resolve('too large');
      response.destroy();
    });
    response.once('close', () => resolve(response.complete ? chunks.takeWhole() : 'cut off'));
  });
}
