import type { Writable } from 'node:stream';
import { maxDataBytes } from '../protocol/limits.ts';

type WriteCallback = (error: Error | null | undefined) => void;

/**
 * Passes large writes to an HTTP/2 stream on in parts of maxDataBytes, one at a time, so that streams take turns. HTTP/2 frames
 * a write at once as far as the window of the stream allows, and no other stream can overtake that: half a second on 8 Mbit/s.
 * Not in `_write`: after its first part, node:http2 would find nothing buffered and end a stream that is to end.
 */
export function splitLargeWrites(stream: Writable): void {
  const write = stream.write.bind(stream);
  let largeWrites = 0;
  stream.write = (
    chunk: string | Uint8Array,
    encoding?: BufferEncoding | WriteCallback,
    callback?: WriteCallback,
  ): boolean => {
    if (typeof encoding === 'function') return stream.write(chunk, 'utf8', encoding);
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    if (bytes.length <= maxDataBytes) return write(bytes, 'utf8', callback);
    // Hides the method of the class, which would pass on all parts that wait together.
    Object.assign(stream, { _writev: undefined });
    largeWrites += 1;
    let at = 0;
    for (; at + maxDataBytes < bytes.length; at += maxDataBytes) write(bytes.subarray(at, at + maxDataBytes));
    return write(bytes.subarray(at), 'utf8', (error) => {
      largeWrites -= 1;
      if (largeWrites === 0) Reflect.deleteProperty(stream, '_writev');
      callback?.(error);
    });
  };
}
