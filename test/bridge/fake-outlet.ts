// The client's side in memory: a call or a stream that remembers what it got.
import type { Call, CallFailure, Outlet, UpstreamMessage } from '../../src/bridge/call.ts';
import type { RpcRequest, RpcResponse } from '../../src/mcp/json-rpc.ts';

export interface FakeOutlet extends Outlet {
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

export interface FakeCall extends FakeOutlet, Call {
  readonly responses: RpcResponse[];
  readonly failures: CallFailure[];
  /** What `absence` tells. */
  absent: 'short' | 'long' | undefined;
  /** Whether the client is known to have got what is recalled. */
  hasGot: boolean;
  readonly recalled: RpcRequest[];
}

export function createFakeOutlet(): FakeOutlet {
  const waiting: (() => void)[] = [];
  const leaving: (() => void)[] = [];
  const outlet: FakeOutlet = {
    open: true,
    isOpen: () => outlet.open,
    got: [],
    fast: true,
    ends: 0,
    send(message) {
      outlet.got.push(message);
      return outlet.fast;
    },
    whenWritable: (callback) => void waiting.push(callback),
    whenGone: (callback) => void leaving.push(callback),
    leave() {
      outlet.open = false;
      for (const callback of leaving.splice(0)) callback();
    },
    end() {
      outlet.open = false;
      outlet.ends++;
    },
    drain() {
      for (const callback of waiting.splice(0)) callback();
    },
  };
  return outlet;
}

export function createFakeCall(): FakeCall {
  const responses: RpcResponse[] = [];
  const failures: CallFailure[] = [];
  const recalled: RpcRequest[] = [];
  const call: FakeCall = Object.assign(createFakeOutlet(), {
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
export function methodsOf({ got }: FakeOutlet): string[] {
  return got.map(({ method }) => method);
}
