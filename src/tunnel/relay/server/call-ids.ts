import type { IncomingMessage } from 'node:http';
import { fieldsOf } from '../../../platform/json-fields.ts';

/** The id of a JSON-RPC request. */
export type CallId = string | number;

/** Longest body that is kept for its ids, in bytes: most calls, and 4 MiB for all requests of an agent. */
const maxCallBytes = 16 * 1024;

/** Keeps the body of a small POST, so that the client can be told which of its calls were lost. */
export class CallIds {
  #chunks: Buffer[] | undefined;
  #bytes = 0;

  constructor(request: IncomingMessage) {
    const { method, headers } = request;
    const isCall = method === 'POST' && headers['content-encoding'] === undefined;
    if (!isCall || Number(headers['content-length'] ?? 0) > maxCallBytes) return;
    this.#chunks = [];
    request.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes > maxCallBytes) this.forget();
      this.#chunks?.push(chunk);
    });
  }

  forget(): void {
    this.#chunks = undefined;
  }

  /** The ids of the requests in the body; none when it was too large, or is not JSON-RPC. */
  read(): readonly CallId[] {
    if (this.#chunks === undefined) return [];
    try {
      const body: unknown = JSON.parse(Buffer.concat(this.#chunks).toString('utf8'));
      return (Array.isArray(body) ? (body as unknown[]) : [body]).flatMap(idOf);
    } catch {
      return [];
    }
  }
}

function idOf(message: unknown): CallId[] {
  const { id, method } = fieldsOf(message);
  // A larger number is another one once it is read.
  const isId = typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id));
  return typeof method === 'string' && isId ? [id] : [];
}
