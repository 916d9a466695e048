import { memberOf, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { legacyRevisions } from '../../mcp/revisions.ts';
import { rewriteResponse, rewriteRevision } from './messages.ts';

/** A client's `initialize` that waits for its result. */
export interface Opening<Owner> {
  readonly owner: Owner;
  readonly request: RpcRequest;
  /** Its id as the client wrote it. */
  readonly writtenId: string;
}

export interface Outcome<Owner> {
  readonly owner: Owner;
  readonly response: RpcResponse;
}

/** One handshake with the server for all its clients: to many servers a second `initialize` is an error. */
export class SharedHandshake<Owner> {
  #agreed: RpcResponse | undefined;
  #first: Opening<Owner> | undefined;
  #waiting: Opening<Owner>[] = [];
  #initialized = false;

  /**
   * A client opens. Returns its result where there is one already; `first` when this `initialize` is the one that has to
   * go to the server; undefined when it waits for that of another client.
   */
  open(opening: Opening<Owner>): RpcResponse | 'first' | undefined {
    if (this.#agreed !== undefined) return resultFor(opening, this.#agreed);
    this.#waiting.push(opening);
    if (this.#first !== undefined) return undefined;
    this.#first = opening;
    return 'first';
  }

  /** The server has answered: what those are told that it concerns. A refusal concerns only who was refused. */
  settle(response: RpcResponse): readonly Outcome<Owner>[] {
    const asker = this.#first;
    this.#first = undefined;
    const agreement = !response.failed && typeof revisionIn(response) === 'string' ? response : undefined;
    this.#agreed ??= agreement;
    const waiting = this.#waiting;
    const openings = agreement === undefined ? waiting.filter((opening) => opening === asker) : waiting;
    this.#waiting = agreement === undefined ? waiting.filter((opening) => opening !== asker) : [];
    return openings.map((opening) => ({
      owner: opening.owner,
      response:
        agreement === undefined || opening === asker
          ? rewriteResponse(response, opening.request.id, opening.writtenId)
          : resultFor(opening, agreement),
    }));
  }

  /** After a refusal: the one among those who still wait whose `initialize` has to go to the server now. */
  next(): Opening<Owner> | undefined {
    if (this.#agreed !== undefined || this.#first !== undefined) return undefined;
    return (this.#first = this.#waiting[0]);
  }

  /** Whether the server has agreed with a client, so that all others can have the same result. */
  isAgreed(): boolean {
    return this.#agreed !== undefined;
  }

  /** Whether a `notifications/initialized` has yet to go to the server. */
  wantsInitialized(): boolean {
    return this.#agreed !== undefined && !this.#initialized;
  }

  /** It has gone there. */
  initialized(): void {
    this.#initialized = true;
  }

  /** The client has gone; the handshake goes on for the others. */
  release(owner: Owner): void {
    this.#waiting = this.#waiting.filter((opening) => opening.owner !== owner);
  }

  /** The server has forgotten: a handshake under way begins anew with the next client. */
  abandon(): void {
    this.#waiting = [];
    this.#first = undefined;
  }
}

/** An older revision that a client knows is better than a newer one that it would give up at. */
function resultFor<Owner>({ request, writtenId }: Opening<Owner>, agreed: RpcResponse): RpcResponse {
  const response = rewriteResponse(agreed, request.id, writtenId);
  const wanted = memberOf(request.json['params'], 'protocolVersion');
  const revision = revisionIn(agreed);
  const served = typeof wanted === 'string' && legacyRevisions.includes(wanted) && wanted < String(revision);
  return served ? rewriteRevision(response, wanted) : response;
}

function revisionIn(response: RpcResponse): unknown {
  return memberOf(response.json['result'], 'protocolVersion');
}
