import type { ExchangeCall, Exchanges } from '../../bridge/exchange/exchanges.ts';
import { shuttingDown } from '../../bridge/session/call-failures.ts';
import type { SessionCaller } from '../../bridge/session/sessions.ts';
import { rpcCode, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts';
import { claimedRevision } from '../../mcp/request-envelope.ts';
import { legacyRevisions, type Era } from '../../mcp/revisions.ts';
import type { Policy } from '../../policy/policy.ts';

export interface EraExchangesOptions {
  /** The era of the server, as far as it is known now. */
  readonly serverEra: () => Era;
  /** How to make what serves modern clients, by the era of the server; where there is nothing, they are refused. */
  readonly create: Readonly<Partial<Record<Era, () => Exchanges>>>;
}

/** Serves modern clients by a server whose era is known only once it has described itself, and may be another one later. */
export class EraExchanges implements Exchanges {
  readonly #options: EraExchangesOptions;
  readonly #made = new Map<Era, Exchanges>();
  #isClosed = false;

  constructor(options: EraExchangesOptions) {
    this.#options = options;
  }

  request(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy?: Policy): void {
    const serving = this.#serving();
    if (serving !== undefined) serving.request(caller, request, call, policy);
    else if (this.#isClosed) call.fail(shuttingDown);
    else {
      call.fail({
        code: rpcCode.unsupportedProtocolVersion,
        message: 'clients of this revision are not served here',
        data: { supported: legacyRevisions, requested: claimedRevision(request) },
      });
    }
  }

  notify(caller: SessionCaller, notification: RpcNotification, policy?: Policy): void {
    this.#serving()?.notify(caller, notification, policy);
  }

  capabilities(): unknown {
    return this.#serving()?.capabilities?.();
  }

  endCaller(callerId: string): void {
    for (const exchanges of this.#made.values()) exchanges.endCaller(callerId);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(Array.from(this.#made.values(), async (exchanges) => exchanges.close()));
  }

  #serving(): Exchanges | undefined {
    const { serverEra, create } = this.#options;
    const era = serverEra();
    // What is made now would never end.
    const exchanges = this.#made.get(era) ?? (this.#isClosed ? undefined : create[era]?.());
    if (exchanges !== undefined) this.#made.set(era, exchanges);
    return exchanges;
  }
}
