import { gather, PieceCollector, type Bytes } from '../platform/bytes.ts';
import type { HttpRequest } from './message.ts';

/** Default for the largest body of a request, in bytes. */
export const defaultMaxBodyBytes: number = 16 * 1024 * 1024;

/** How much all bodies that are being read may hold, in bytes; further bodies are not read until there is room. */
const defaultMaxTotalBytes: number = 256 * 1024 * 1024;

/** Bodies up to this size, in bytes, do not count: the buffers of a connection hold as much anyway. */
const minCountedBytes: number = 64 * 1024;

export type Body = Bytes | 'too large' | 'cut off';

export interface BodyReader {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /**
   * Reads the whole body of a request, or stops as soon as it is too large.
   * @param onBody called once, in the turn in which the end arrives: a promise would delay every call.
   * @param onPiece called with each piece as it arrives, if the body is large or its size is not known.
   */
  read(request: HttpRequest, onBody: (body: Body) => void, onPiece?: (piece: Buffer) => void): void;
}

export interface BodyReaderOptions {
  readonly maxBytes: number;
  /** Default 256 MiB; at least `maxBytes`. */
  readonly maxTotalBytes?: number | undefined;
}

/** Reads bodies. The size of each body, and of all bodies together, is limited. */
export function createBodyReader({ maxBytes, maxTotalBytes = defaultMaxTotalBytes }: BodyReaderOptions): BodyReader {
  const room = Math.max(maxBytes, maxTotalBytes);
  let reserved = 0;
  /** Bodies that wait for room, in order. */
  const waiting = new Set<() => void>();

  function release(bytes: number): void {
    reserved -= bytes;
    for (const tryAgain of waiting) tryAgain();
  }

  /**
   * Reserves the whole size at once: two half-read bodies could wait for each other forever. Resolves to false if the
   * client disconnects.
   */
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
    // Without a Content-Length the body can be of any size.
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
      // Most bodies are short and have a Content-Length.
      else if (announced > 0 && announced <= minCountedBytes) readWhole(request, { announced, maxBytes }, onBody);
      else void readLarge(request, announced, onPiece).then(onBody);
    },
  };
}

type OnPiece = ((piece: Buffer) => void) | undefined;

interface ReadLimits {
  /** The Content-Length, or 0. */
  readonly announced: number;
  readonly maxBytes: number;
  /** Called once, when the body is large enough to count; nothing is read until it resolves. */
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
  // Each event comes once, and `close` follows an error, so `once` would only cost more.
  request.on('end', () => finish(size < announced ? 'cut off' : gather(chunks.take(), size)));
  request.on('close', () => finish('cut off'));
}
