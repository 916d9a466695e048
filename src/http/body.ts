import { gather, PieceCollector, type Bytes } from '../platform/bytes.ts';
import type { HttpRequest } from './message.ts';

/** Largest body of a request, in bytes. */
export const defaultMaxBodyBytes: number = 16 * 1024 * 1024;

/** What the bodies that are being read may hold together, in bytes; further ones wait, and are not read meanwhile. */
const defaultMaxTotalBytes: number = 256 * 1024 * 1024;

/** Smaller ones are not counted, in bytes: as much waits in the buffers of a connection anyway. */
const minCountedBytes: number = 64 * 1024;

export type Body = Bytes | 'too large' | 'cut off';

export interface BodyReader {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /**
   * Reads a request's body whole, or stops as soon as it is larger than may be.
   * @param onBody called once, in the turn in which the last of it has come: a promise would cost every call a detour.
   * @param onPiece told of each piece of one that is large, or may be, as it comes.
   */
  read(request: HttpRequest, onBody: (body: Body) => void, onPiece?: (piece: Buffer) => void): void;
}

export interface BodyReaderOptions {
  readonly maxBytes: number;
  /** Default 256 MiB, and never less than one body of the largest size. */
  readonly maxTotalBytes?: number | undefined;
}

/** Reads bodies, of which each and all together are bounded. */
export function createBodyReader({ maxBytes, maxTotalBytes = defaultMaxTotalBytes }: BodyReaderOptions): BodyReader {
  const room = Math.max(maxBytes, maxTotalBytes);
  let reserved = 0;
  /** Those that wait for room, in order. */
  const waiting = new Set<() => void>();

  function release(bytes: number): void {
    reserved -= bytes;
    for (const tryAgain of waiting) tryAgain();
  }

  /** Room for all of a body at once: two that wait for each other in the middle would wait for ever. */
  function reserve(request: HttpRequest, bytes: number): Promise<boolean> {
    return new Promise((resolve) => {
      const attempt = (): void => {
        if (reserved + bytes > room) return;
        reserved += bytes;
        settle(true);
      };
      const settle = (isThere: boolean): void => {
        waiting.delete(attempt);
        request.off('close', leave);
        resolve(isThere);
      };
      const leave = (): void => settle(false);
      request.once('close', leave);
      waiting.add(attempt);
      attempt();
    });
  }

  async function readLarge(request: HttpRequest, announced: number, onPiece: OnPiece): Promise<Body> {
    let held = 0;
    const hold = async (bytes: number): Promise<boolean> => {
      if (!(await reserve(request, bytes))) return false;
      held = bytes;
      return true;
    };
    if (announced > minCountedBytes && !(await hold(announced))) return 'cut off';
    // A size that was not announced may turn out to be any.
    const limits = { announced, maxBytes, onPiece, ...(held === 0 ? { whenLarge: () => hold(maxBytes) } : {}) };
    const body = await new Promise<Body>((resolve) => readWhole(request, limits, resolve));
    if (held > 0) release(held);
    return body;
  }

  return {
    maxBytes,
    read(request, onBody, onPiece) {
      const announced = Number(request.headers['content-length'] ?? 0);
      if (announced > maxBytes) onBody('too large');
      // Most are short and say so.
      else if (announced > 0 && announced <= minCountedBytes) readWhole(request, { announced, maxBytes }, onBody);
      else void readLarge(request, announced, onPiece).then(onBody);
    },
  };
}

type OnPiece = ((piece: Buffer) => void) | undefined;

interface ReadLimits {
  /** Size by the header, or 0. */
  readonly announced: number;
  readonly maxBytes: number;
  /** Asked once, when the body outgrows what is not counted; nothing is read until it resolves. */
  readonly whenLarge?: () => Promise<boolean>;
  readonly onPiece?: OnPiece;
}

function readWhole(request: HttpRequest, limits: ReadLimits, onBody: (body: Body) => void): void {
  const { announced, maxBytes, whenLarge, onPiece } = limits;
  const chunks = new PieceCollector();
  let size = 0;
  let ask = whenLarge;
  let isOver = false;

  const finish = (body: Body): void => {
    if (isOver) return;
    isOver = true;
    onBody(body);
  };
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    chunks.push(chunk);
    if (size > maxBytes) {
      request.off('data', onData);
      finish('too large');
      return;
    }
    onPiece?.(chunk);
    if (size > minCountedBytes && ask !== undefined) {
      request.pause();
      void ask().then(() => request.resume());
      ask = undefined;
    }
  };
  request.on('data', onData);
  // Each comes once, and behind an error comes the end of the connection; `once` would only cost more.
  // A stream of HTTP/2 that was reset, or lost with its connection, ends as if its body had come.
  request.on('end', () => {
    finish(size < announced || request.aborted === true ? 'cut off' : gather(chunks.take(), size));
  });
  request.on('close', () => finish('cut off'));
}
