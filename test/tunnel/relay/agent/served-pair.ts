import { setImmediate as nextTurn } from 'node:timers/promises';
import { createStreamServer } from '../../../../src/tunnel/relay/agent/stream-server.ts';
import type { TunnelRequest } from '../../../../src/tunnel/relay/agent/tunnel-request.ts';
import type { TunnelResponse } from '../../../../src/tunnel/relay/agent/tunnel-response.ts';
import { encodeHead } from '../../../../src/tunnel/relay/protocol/heads.ts';
import { Multiplexer } from '../../../../src/tunnel/relay/protocol/multiplexer.ts';
import { exchange, MemoryCarrier, Recorder, type MuxEnds, type OpenRecorder } from '../protocol/mux-pair.ts';

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  /** All of the body; with `undefined` it goes on. */
  readonly body?: Buffer | string | undefined;
}

export interface ServedPair extends MuxEnds {
  readonly faults: string[];
  /** Sends a request to the handler; nothing has been delivered yet. */
  send(options?: RequestOptions): OpenRecorder;
  /** Delivers what both ends send, until this is true. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Until the stream is over. */
  over(call: Recorder): Promise<void>;
}

/** The server of an agent and a relay that sends it requests. */
export function servedPair(handler: (request: TunnelRequest, response: TunnelResponse) => void): ServedPair {
  const [toAgent, toRelay] = [new MemoryCarrier(), new MemoryCarrier()];
  const faults: string[] = [];
  const onFault = (reason: string): void => void faults.push(reason);
  const relay = new Multiplexer({ carrier: toAgent, onFault });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server of streams has no others
  const agent = createStreamServer(handler as Parameters<typeof createStreamServer>[0])(toRelay, onFault);
  const ends = { relay, agent, toAgent, toRelay };
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    for (let turn = 0; !condition(); turn += 1) {
      if (turn > 2_000) throw new Error(`never: ${what}`);
      exchange(ends);
      // oxlint-disable-next-line no-await-in-loop -- streams need turns
      await nextTurn();
    }
  };
  return {
    ...ends,
    faults,
    until,
    send({ method = 'POST', path = '/', headers = [], ...options } = {}) {
      const head = encodeHead({ method, path, headers });
      if (head === undefined) throw new Error('the head is too large');
      const body = 'body' in options ? options.body : '';
      const isEnd = body?.length === 0;
      const recorder = new Recorder();
      const call = Object.assign(recorder, { stream: relay.open(head, isEnd, recorder) });
      if (body !== undefined && !isEnd) {
        call.stream.write(Buffer.from(body));
        call.stream.end();
      }
      return call;
    },
    over: async (call) => await until(() => call.events.at(-1)?.startsWith('close') === true, 'the end of the stream'),
  };
}

export interface ServedRequest extends ServedPair {
  readonly call: OpenRecorder;
  readonly request: TunnelRequest;
  readonly response: TunnelResponse;
}

/** Sends a request to a handler that does nothing. */
export async function servedRequest(options: RequestOptions): Promise<ServedRequest> {
  let found: { request: TunnelRequest; response: TunnelResponse } | undefined;
  const pair = servedPair((request, response) => (found = { request, response }));
  const call = pair.send(options);
  await pair.until(() => found !== undefined, 'the request');
  if (found === undefined) throw new Error('no request');
  const { request, response } = found;
  return { ...pair, call, request, response };
}
