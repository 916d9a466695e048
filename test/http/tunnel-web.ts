// Both ends of our own tunnel in one process, with nothing in between.
import type { IncomingHttpHeaders } from 'node:http';
import { Readable, Writable } from 'node:stream';
import { createStreamServer } from '../../src/tunnel/relay/agent/stream-server.ts';
import type { RequestHandler } from '../../src/tunnel/provider.ts';
import { encodeHead, parseResponseHead } from '../../src/tunnel/relay/protocol/heads.ts';
import { Multiplexer, type FrameCarrier } from '../../src/tunnel/relay/protocol/multiplexer.ts';
import { resetCodes, type MuxStream, type StreamReceiver } from '../../src/tunnel/relay/protocol/mux-stream.ts';

export interface ResponseThroughTunnel {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface RequestThroughTunnel {
  /** The body. */
  readonly body: Writable;
  /** Rejects when the stream ends without one. */
  readonly response: Promise<ResponseThroughTunnel>;
  cancel(): void;
}

export interface TunnelWeb {
  request(method: string, path: string, headers: readonly string[], hasBody: boolean): RequestThroughTunnel;
  /** The tunnel is lost. */
  close(): void;
}

/** What the handler is asked, it is asked through the tunnel. */
export function startTunnelWeb(handler: RequestHandler): TunnelWeb {
  const relay: Multiplexer = new Multiplexer({ carrier: carrierTo((bytes) => agent.receive(bytes)), onFault });
  const agent: Multiplexer = createStreamServer(handler)(
    carrierTo((bytes) => relay.receive(bytes)),
    onFault,
  );
  return {
    request(method, path, headers, hasBody) {
      const head = encodeHead({ method, path, headers });
      if (head === undefined) throw new RangeError('the head is too large');
      const client = new Client();
      client.stream = relay.open(head, !hasBody, client);
      const { body, response, stream } = client;
      return { body, response, cancel: () => stream.reset(resetCodes.cancelled) };
    },
    close() {
      relay.close();
      agent.close();
    },
  };
}

function onFault(reason: string): never {
  throw new Error(`a fault of the tunnel: ${reason}`);
}

function carrierTo(receive: (bytes: Buffer) => void): FrameCarrier {
  return { isWritable: true, send: (message) => void setImmediate(receive, message) };
}

class Client implements StreamReceiver {
  stream!: MuxStream;
  readonly response: Promise<ResponseThroughTunnel>;
  readonly body = new Writable({
    write: (chunk: Buffer, _encoding, callback) => {
      if (this.stream.write(chunk) || this.stream.isClosed) callback();
      else this.#onDrain = callback;
    },
    final: (callback) => {
      this.stream.end();
      callback();
    },
  });
  #onDrain: () => void = () => {};
  #resolve!: (response: ResponseThroughTunnel) => void;
  #reject!: (error: Error) => void;
  #unread = 0;
  readonly #received = new Readable({
    read: () => this.#consume(),
    destroy: (error, callback) => {
      this.stream.reset(resetCodes.cancelled);
      callback(error);
    },
  });

  constructor() {
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#received.on('error', () => {});
  }

  onHead(bytes: Buffer): void {
    const head = parseResponseHead(bytes);
    if (head === undefined) throw new Error(`not the head of a response: ${bytes.toString()}`);
    this.#resolve({ status: head.status, headers: toHeaders(head.headers), body: this.#received });
  }

  onData(bytes: Buffer): void {
    this.#unread += bytes.length;
    if (this.#received.push(bytes)) this.#consume();
  }

  onEnd(): void {
    this.#received.push(null);
  }

  onDrain(): void {
    const onDrain = this.#onDrain;
    this.#onDrain = () => {};
    onDrain();
  }

  onClose(reset: number | 'lost' | undefined): void {
    this.onDrain();
    this.#reject(new Error('no answer came'));
    if (reset !== undefined) this.#received.destroy(new Error(`reset: ${reset}`));
  }

  #consume(): void {
    this.stream.consumed(this.#unread);
    this.#unread = 0;
  }
}

function toHeaders(raw: readonly string[]): IncomingHttpHeaders {
  const headers = new Map<string, string | string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    const value = raw[at + 1] ?? '';
    const before = headers.get(name);
    if (name === 'set-cookie') headers.set(name, [before ?? [], value].flat());
    else headers.set(name, before === undefined ? value : `${String(before)}, ${value}`);
  }
  return Object.fromEntries(headers);
}
