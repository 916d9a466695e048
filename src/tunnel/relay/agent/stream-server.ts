import type { RequestHandler } from '../../provider.ts';
import { parseRequestHead } from '../protocol/heads.ts';
import { Multiplexer, type FrameCarrier } from '../protocol/multiplexer.ts';
import { resetCodes, type StreamReceiver } from '../protocol/mux-stream.ts';
import { TunnelRequest } from './tunnel-request.ts';
import { TunnelResponse } from './tunnel-response.ts';

/** Serves the requests of one pipe until it is closed. */
export type ServePipe = (carrier: FrameCarrier, onFault: (reason: string) => void) => Multiplexer;

/** Every request of every pipe goes to `handler`. */
export function createStreamServer(handler: RequestHandler): ServePipe {
  return (carrier, onFault) => {
    const streams: Multiplexer = new Multiplexer({
      carrier,
      onFault,
      onRequest(stream, bytes) {
        const head = parseRequestHead(bytes);
        if (head === undefined) {
          stream.reset(resetCodes.failed);
          return;
        }
        const request = new TunnelRequest(stream, head);
        const response = new TunnelResponse(stream, (headBytes) => streams.respond(stream, headBytes));
        stream.receiver = new ServedStream(request, response);
        // As with node:http, to destroy one ends the other.
        request.once('close', () => {
          if (stream.isClosed) response.close();
        });
        response.once('close', () => {
          if (!request.complete) request.destroy();
        });
        // An exception here would end the process and all other requests.
        try {
          handler(request, response);
        } catch {
          response.destroy();
        }
      },
    });
    return streams;
  };
}

class ServedStream implements StreamReceiver {
  readonly #request: TunnelRequest;
  readonly #response: TunnelResponse;

  constructor(request: TunnelRequest, response: TunnelResponse) {
    this.#request = request;
    this.#response = response;
  }

  onHead(): void {}

  onData(bytes: Buffer): void {
    this.#request.receive(bytes);
  }

  onEnd(): void {
    this.#request.finish();
  }

  onDrain(): void {
    this.#response.emit('drain');
  }

  onClose(reset: number | 'lost' | undefined): void {
    // Nobody may take a body that was not read to its end for a request whose client waits.
    if (reset !== undefined && !this.#request.readableEnded) this.#request.destroy();
    this.#response.close();
  }
}
