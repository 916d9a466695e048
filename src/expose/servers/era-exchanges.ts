import type { ExchangeCall, Exchanges, ExchangesReport } from '../../bridge/exchange/exchanges.ts';
import { credentialEnded, maxCalls, shuttingDown, tooManyCalls } from '../../bridge/session/call-failures.ts';
import type { CallFailure } from '../../bridge/session/pending-request.ts';
import type { SessionCaller } from '../../bridge/session/sessions.ts';
import { rpcCode, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts';
import { claimedRevision } from '../../mcp/request-envelope.ts';
import { legacyRevisions, type Era } from '../../mcp/revisions.ts';
import type { Policy } from '../../policy/policy.ts';

export interface EraExchangesOptions {
  /** Resolves when the server has said what it is, or has failed to: requests wait for it. Undefined if there is nothing to wait for. */
  readonly whenKnown: () => Promise<unknown> | undefined;
  /** The era of the server, as far as it is known now. */
  readonly serverEra: () => Era;
  /** How to make what serves modern clients, by the era of the server; where there is nothing, they are refused. Never rejects. */
  readonly create: Readonly<Partial<Record<Era, () => Promise<Exchanges>>>>;
}

interface EarlyRequest {
  readonly caller: SessionCaller;
  readonly request: RpcRequest;
  readonly call: ExchangeCall;
  readonly policy: Policy | undefined;
}

/** Serves modern clients by a server whose era is known only once it has described itself, and may be another one later. */
export class EraExchanges implements Exchanges {
  readonly #options: EraExchangesOptions;
  readonly #made = new Map<Era, Exchanges>();
  /** Being made. */
  readonly #making = new Map<Era, Promise<void>>();
  /** Requests from before the server has said what it is, and while what serves them is made. */
  readonly #early = new Set<EarlyRequest>();
  #isClosed = false;

  constructor(options: EraExchangesOptions) {
    this.#options = options;
  }

  request(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy?: Policy): void {
    const known = this.#options.whenKnown();
    const serving = known === undefined ? this.#serving() : undefined;
    if (serving !== undefined) {
      serving.request(caller, request, call, policy);
    } else if (this.#isClosed) {
      call.fail(shuttingDown);
    } else {
      this.#hold({ caller, request, call, policy });
      if (known === undefined) this.#begin();
      else void known.then(() => this.#begin());
    }
  }

  /** The server has said what it is, or has failed to. */
  #begin(): void {
    if (this.#early.size === 0) return;
    const era = this.#options.serverEra();
    const create = this.#options.create[era];
    if (this.#serving() === undefined && create !== undefined) {
      if (!this.#making.has(era)) this.#making.set(era, this.#make(era, create));
      return;
    }
    for (const early of this.#early) {
      this.#early.delete(early);
      this.#serve(early);
    }
  }

  async #make(era: Era, create: () => Promise<Exchanges>): Promise<void> {
    const made = await create();
    this.#making.delete(era);
    // What is not ended now would never end.
    if (this.#isClosed) await made.close();
    else this.#made.set(era, made);
    this.#begin();
  }

  #hold(early: EarlyRequest): void {
    const { call } = early;
    if (this.#early.size >= maxCalls) {
      call.fail(tooManyCalls);
      return;
    }
    this.#early.add(early);
    call.whenGone(() => {
      if (this.#early.delete(early)) call.end();
    });
  }

  #serve({ caller, request, call, policy }: EarlyRequest): void {
    const serving = this.#serving();
    if (serving !== undefined) {
      serving.request(caller, request, call, policy);
      return;
    }
    call.fail({
      code: rpcCode.unsupportedProtocolVersion,
      message: 'clients of this revision are not served here',
      data: { supported: legacyRevisions, requested: claimedRevision(request) },
    });
  }

  notify(caller: SessionCaller, notification: RpcNotification, policy?: Policy): void {
    this.#serving()?.notify(caller, notification, policy);
  }

  capabilities(): unknown {
    return this.#serving()?.capabilities?.();
  }

  report(): ExchangesReport | undefined {
    return this.#serving()?.report?.();
  }

  endCaller(callerId: string): void {
    this.#failEarly(credentialEnded, callerId);
    for (const exchanges of this.#made.values()) exchanges.endCaller(callerId);
  }

  /** Ends what serves clients of the server so far, which was replaced. */
  async dismiss(): Promise<void> {
    await Promise.all(this.#making.values());
    const made = [...this.#made.values()];
    this.#made.clear();
    await Promise.all(made.map(async (exchanges) => exchanges.close()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#failEarly(shuttingDown);
    await this.dismiss();
  }

  /** @param callerId whose requests; default: those of all. */
  #failEarly(failure: CallFailure, callerId?: string): void {
    for (const early of this.#early) {
      if (callerId !== undefined && early.caller.id !== callerId) continue;
      this.#early.delete(early);
      early.call.fail(failure);
    }
  }

  #serving(): Exchanges | undefined {
    return this.#made.get(this.#options.serverEra());
  }
}
