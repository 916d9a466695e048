// One HTTP/1.1 connection of the load generator. node:http's client costs more per call than a bridge does: behind it,
// slow and fast bridges would look alike. It reads what Node's servers write, nothing more.
import { connect } from 'node:net';

/** A call without an answer for so long is a fault, in milliseconds. */
const callTimeoutMs = 30_000;

const endOfHead = '\r\n\r\n';
const endOfLine = '\r\n';
/** @type {Buffer} */
const nothing = Buffer.alloc(0);

/**
 * @typedef {object} Response
 * @property {number} status
 * @property {(name: string) => string | undefined} header the first value of a header, its name in small letters
 * @property {Buffer} body
 */

/**
 * @typedef {object} Connection
 * @property {(parts: readonly (string | Buffer)[], onBody?: (part: Buffer) => void) => Promise<Response>} exchange
 * sends a request as it is and waits for its response, whose body goes to `onBody` as it comes if there is one; one at
 * a time
 * @property {() => void} close
 */

/**
 * Connects with the first request, and anew when the server has closed the connection after a response.
 * @param {{ hostname: string, port: string }} server
 * @returns {Connection}
 */
export function openConnection({ hostname, port }) {
  /** @type {import('node:net').Socket | undefined} */
  let socket;
  /** @type {{ resolve: (response: Response) => void, reject: (error: Error) => void, reader: Reader } | undefined} */
  let waiting;

  function dial() {
    const dialled = connect({ host: hostname, port: Number(port), noDelay: true, timeout: callTimeoutMs });
    dialled.on('data', (/** @type {Buffer} */ chunk) => {
      const response = waiting?.reader(chunk);
      if (response === undefined) return;
      const answered = waiting;
      waiting = undefined;
      answered?.resolve(response);
    });
    dialled.on('timeout', () => {
      if (waiting !== undefined) dialled.destroy(new Error(`no answer within ${callTimeoutMs / 1000} s`));
    });
    // Told below, once it is closed.
    dialled.on('error', () => {});
    dialled.once('close', () => {
      if (socket !== dialled) return;
      socket = undefined;
      waiting?.reject(dialled.errored ?? new Error('the connection was closed before the answer'));
      waiting = undefined;
    });
    return dialled;
  }

  return {
    exchange(parts, onBody) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject, reader: createReader(onBody) };
        socket ??= dial();
        const [first = '', ...others] = parts;
        if (others.length === 0) {
          socket.write(first, 'latin1');
          return;
        }
        socket.cork();
        for (const part of parts) socket.write(part, 'latin1');
        socket.uncork();
      });
    },
    close() {
      socket?.destroy();
    },
  };
}

/** @typedef {(chunk: Buffer) => Response | undefined} Reader takes what has come, gives the response that it completes */

/**
 * Reads one response (RFC 9112 §6, §7.1).
 * @param {((part: Buffer) => void) | undefined} onBody
 * @returns {Reader}
 */
function createReader(onBody) {
  /** @type {Buffer[]} */
  const parts = [];
  const take = onBody ?? ((/** @type {Buffer} */ part) => parts.push(part));
  /** What has come and cannot be read yet. */
  let rest = nothing;
  /** @type {ReturnType<typeof readHead> | undefined} */
  let head;
  /** Of the body, or of a chunk of it. */
  let bytesLeft = 0;
  let isLastChunk = false;

  return (chunk) => {
    let input = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    rest = nothing;
    if (head === undefined) {
      const end = input.indexOf(endOfHead);
      if (end === -1) {
        rest = input;
        return undefined;
      }
      head = readHead(input.toString('latin1', 0, end));
      bytesLeft = head.length;
      input = input.subarray(end + endOfHead.length);
    }
    const { status, header, isChunked } = head;
    for (;;) {
      const part = bytesLeft < input.length ? input.subarray(0, bytesLeft) : input;
      if (part.length > 0) take(part);
      bytesLeft -= part.length;
      input = input.subarray(part.length);
      if (bytesLeft > 0) return undefined;
      if (!isChunked || isLastChunk) {
        const [first = nothing] = parts;
        return { status, header, body: parts.length > 1 ? Buffer.concat(parts) : first };
      }
      // The line break behind the chunk before stands in front of the size.
      const from = input.indexOf(endOfLine) === 0 ? endOfLine.length : 0;
      const end = input.indexOf(endOfLine, from);
      if (end === -1) {
        rest = input;
        return undefined;
      }
      const size = Number.parseInt(input.toString('latin1', from, end), 16);
      isLastChunk = size === 0;
      // Behind the last one stands an empty line.
      if (isLastChunk && input.length < end + endOfHead.length) {
        isLastChunk = false;
        rest = input;
        return undefined;
      }
      bytesLeft = size;
      input = input.subarray(end + endOfLine.length);
      if (isLastChunk) input = nothing;
    }
  };
}

/** @param {string} text */
function readHead(text) {
  const status = Number(text.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
  const names = text.toLowerCase();
  const header = (/** @type {string} */ name) => {
    const start = names.indexOf(`\r\n${name}: `);
    if (start === -1) return undefined;
    const end = text.indexOf(endOfLine, start + 2);
    return text.slice(start + name.length + 4, end === -1 ? text.length : end);
  };
  const hasBody = status !== 204 && status !== 304;
  return {
    status,
    header,
    isChunked: hasBody && header('transfer-encoding') === 'chunked',
    length: hasBody ? Number(header('content-length') ?? 0) : 0,
  };
}
