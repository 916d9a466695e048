import type { ExchangeCall, Exchanges } from '../../src/bridge/exchange/exchanges.ts';
import type { SessionCaller } from '../../src/bridge/session/sessions.ts';
import type { RpcNotification, RpcRequest } from '../../src/mcp/json-rpc.ts';
import type { Policy } from '../../src/policy/policy.ts';

export interface Begun {
  readonly caller: SessionCaller;
  readonly request: RpcRequest;
  readonly call: ExchangeCall;
  readonly policy: Policy | undefined;
}

/** Exchanges of a server that a test plays. */
export class FakeExchanges implements Exchanges {
  readonly begun: Begun[] = [];
  readonly notified: RpcNotification[] = [];
  advertised: unknown;
  onRequest: (begun: Begun) => void = () => {};

  request(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy?: Policy): void {
    const begun = { caller, request, call, policy };
    this.begun.push(begun);
    this.onRequest(begun);
  }

  notify(_caller: SessionCaller, sent: RpcNotification): void {
    this.notified.push(sent);
  }

  capabilities(): unknown {
    return this.advertised;
  }

  endCaller(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
