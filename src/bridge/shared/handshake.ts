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

export interface SharedHandshake<Owner> {
  /**
   * A client opens. Returns its result where there is one already; `first` when this `initialize` is the one that has to
   * go to the server; undefined when it waits for that of another client.
   */
  open(opening: Opening<Owner>): RpcResponse | 'first' | undefined;
  /** The server has answered: what those are told that it concerns. A refusal concerns only who was refused. */
  settle(response: RpcResponse): readonly Outcome<Owner>[];
  /** After a refusal: the one among those who still wait whose `initialize` has to go to the server now. */
  next(): Opening<Owner> | undefined;
  /** Whether the server has agreed with a client, so that all others can have the same result. */
  isAgreed(): boolean;
  /** Whether a `notifications/initialized` has yet to go to the server. */
  wantsInitialized(): boolean;
  /** It has gone there. */
  initialized(): void;
  /** The client has gone; the handshake goes on for the others. */
  release(owner: Owner): void;
  /** The server has forgotten: a handshake under way begins anew with the next client. */
  abandon(): void;
}

/** One handshake with the server for all its clients: to many servers a second `initialize` is an error. */
export function createSharedHandshake<Owner>(): SharedHandshake<Owner> {
  let agreed: RpcResponse | undefined;
  let first: Opening<Owner> | undefined;
  let waiting: Opening<Owner>[] = [];
  let initialized = false;

  return {
    open(opening) {
      if (agreed !== undefined) return resultFor(opening, agreed);
      waiting.push(opening);
      if (first !== undefined) return undefined;
      first = opening;
      return 'first';
    },
    settle(response) {
      const asker = first;
      first = undefined;
      const agreement = !response.failed && typeof revisionIn(response) === 'string' ? response : undefined;
      agreed ??= agreement;
      const openings = agreement === undefined ? waiting.filter((opening) => opening === asker) : waiting;
      waiting = agreement === undefined ? waiting.filter((opening) => opening !== asker) : [];
      return openings.map((opening) => ({
        owner: opening.owner,
        response:
          agreement === undefined || opening === asker
            ? rewriteResponse(response, opening.request.id, opening.writtenId)
            : resultFor(opening, agreement),
      }));
    },
    next() {
      if (agreed !== undefined || first !== undefined) return undefined;
      return (first = waiting[0]);
    },
    isAgreed: () => agreed !== undefined,
    wantsInitialized: () => agreed !== undefined && !initialized,
    initialized() {
      initialized = true;
    },
    release(owner) {
      waiting = waiting.filter((opening) => opening.owner !== owner);
    },
    abandon() {
      waiting = [];
      first = undefined;
    },
  };
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
