import type { IncomingMessage } from 'node:http';

import { PieceCollector } from '../../../platform/bytes.ts';
import type { Clock } from '../../../platform/clock.ts';

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

/** How long a response that nobody waits for may take, in milliseconds. */
export const lingerMs = 5000;

/** As much is read of a body that should be empty, in bytes; beyond it a new connection costs less. */
const maxDrainedBytes: number = 64 * 1024;

/** Reads a body that means nothing, so that its connection can be used again. One that does not end is cut off. */
export function drainResponse(response: IncomingMessage, clock: Clock): void {
  let size = 0;
  const cancel = clock.after(lingerMs, () => void response.destroy());
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxDrainedBytes) response.destroy();
  });
  response.once('close', cancel);
}
