// The client's side in memory: a call or a stream that remembers what it got.
import type {
  PendingRequest,
  CallFailure,
  MessageSink,
  UpstreamMessage,
} from '../../../src/bridge/session/pending-request.ts';
import type { RpcRequest, RpcResponse } from '../../../src/mcp/json-rpc.ts';

export interface FakeSink extends MessageSink {
  /** What `isOpen` tells. */
  open: boolean;
  /** Methods and params of what it was sent. */
  readonly got: UpstreamMessage[];
  /** Whether it takes more at once; true at first. */
  fast: boolean;
  ends: number;
  whenGone(callback: () => void): void;
  /** The client goes. */
  leave(): void;
  /** Lets everything go on that waits for this client. */
  drain(): void;
}

export interface FakeCall extends FakeSink, PendingRequest {
  readonly responses: RpcResponse[];
  readonly failures: CallFailure[];
  /** What `absence` tells. */
  absent: 'short' | 'long' | undefined;
  /** Whether the client is known to have got what is recalled. */
  hasGot: boolean;
  readonly recalled: RpcRequest[];
}

export function createFakeSink(): FakeSink {
  const waiting: (() => void)[] = [];
  const leaving: (() => void)[] = [];
  const sink: FakeSink = {
    open: true,
    isOpen: () => sink.open,
    got: [],
    fast: true,
    ends: 0,
    send(message) {
      sink.got.push(message);
      return sink.fast;
    },
    whenWritable: (callback) => void waiting.push(callback),
    whenGone: (callback) => void leaving.push(callback),
    leave() {
      sink.open = false;
      for (const callback of leaving.splice(0)) callback();
    },
    end() {
      sink.open = false;
      sink.ends++;
    },
    drain() {
      for (const callback of waiting.splice(0)) callback();
    },
  };
  return sink;
}

export function createFakeCall(): FakeCall {
  const responses: RpcResponse[] = [];
  const failures: CallFailure[] = [];
  const recalled: RpcRequest[] = [];
  const call: FakeCall = Object.assign(createFakeSink(), {
    responses,
    failures,
    absent: undefined,
    hasGot: false,
    recalled,
    absence: () => call.absent,
    recall(ask: RpcRequest) {
      if (!call.hasGot) recalled.push(ask);
      return !call.hasGot;
    },
    finish(response: RpcResponse) {
      responses.push(response);
      call.open = false;
      return call.fast;
    },
    fail(failure: CallFailure) {
      failures.push(failure);
      call.open = false;
    },
  });
  return call;
}

/** The methods of what an outlet got, in order. */
export function methodsOf({ got }: FakeSink): string[] {
  return got.map(({ method }) => method);
}
