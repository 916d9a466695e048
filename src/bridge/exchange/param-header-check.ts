import { hash } from 'node:crypto';

import { clientCapabilitiesKey, clientInfoKey, protocolVersionKey } from '../../mcp/envelope-keys.ts';
import { memberOf, metaOf, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import type { Clock } from '../../platform/clock.ts';
import { DeclaredHeaders } from '../declared-headers.ts';
import { makeRoom } from '../limits.ts';
import { maxCalls, tooManyCalls } from '../session/call-failures.ts';
import { rewriteResponse } from '../shared/messages.ts';
import type { ExchangeCall } from './exchanges.ts';

/** Most pages of a list that are read for a call. */
const maxPages = 100;

/** How long a tool is believed to be in no list, in milliseconds, and how many such tools are remembered. */
const unlistedTrustMs = 60_000;
const maxUnlisted = 1000;

const envelopeKeys = [protocolVersionKey, clientCapabilitiesKey, clientInfoKey];

/** Makes a request of the same client. */
type Ask = (request: RpcRequest, call: ExchangeCall) => void;

/** A call with headers, and what to do with it. */
interface Waiting {
  readonly request: RpcRequest;
  readonly call: ExchangeCall;
  readonly proceed: () => void;
}

/** A list that is being read, and the calls that wait for it. */
interface Listing {
  readonly key: string;
  readonly id: RpcRequest['id'];
  readonly envelope: Readonly<Record<string, unknown>>;
  readonly ask: Ask;
  readonly waiting: Set<Waiting>;
  /** Cancels the request for the page that is awaited. */
  cancel: () => void;
}

/**
 * Compares the `Mcp-Param-*` headers of calls with their arguments (MCP 2026-07-28, "Server Behavior for Custom Headers"). A call that
 * has such headers, of a tool of which no list has passed yet, waits until the server has listed its tools: once for all calls of
 * one owner and one kind of client, which alone see the same list.
 */
export class ParamHeaderCheck {
  readonly #clock: Clock;
  readonly #declared = new DeclaredHeaders();
  readonly #listings = new Map<string, Listing>();
  /** Until when a tool is believed to be in no list, by the listing and its name. */
  readonly #unlisted = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The server has answered a `tools/list`. */
  learn(response: RpcResponse): void {
    this.#declared.learn(response);
  }

  /**
   * @param owner whose call it is, as in `Owners`.
   * @param ask for the list of tools.
   * @param proceed is called where nothing is wrong with the headers, and now if nothing has to be asked.
   */
  check(request: RpcRequest, call: ExchangeCall, owner: () => string, ask: Ask, proceed: () => void): void {
    if (call.paramHeaders === undefined) proceed();
    else if (call.paramHeaders.size > 0 && this.#isUnknown(request))
      this.#wait({ request, call, proceed }, owner(), ask);
    else this.#compare({ request, call, proceed });
  }

  #isUnknown(request: RpcRequest): boolean {
    return this.#declared.of(request) === undefined;
  }

  #wait(waiting: Waiting, owner: string, ask: Ask): void {
    const { request, call } = waiting;
    const meta = metaOf(request);
    const envelope = Object.fromEntries(envelopeKeys.map((key) => [key, memberOf(meta, key)]));
    // A client may send much in its envelope.
    const key = hash('sha256', JSON.stringify([owner, envelope]), 'base64url');
    if ((this.#unlisted.get(unlistedKey(key, request)) ?? 0) > this.#clock.now()) {
      this.#compare(waiting);
      return;
    }
    const known = this.#listings.get(key);
    const listing = known ?? { key, id: request.id, envelope, ask, waiting: new Set(), cancel() {} };
    if (listing.waiting.size >= maxCalls) {
      call.fail(tooManyCalls);
      return;
    }
    listing.waiting.add(waiting);
    call.whenGone(() => {
      if (!listing.waiting.delete(waiting)) return;
      call.end();
      if (listing.waiting.size > 0) return;
      this.#forget(listing);
      listing.cancel();
    });
    if (known !== undefined) return;
    this.#listings.set(key, listing);
    this.#list(listing, 1);
  }

  #list(listing: Listing, page: number, cursor?: string): void {
    const { id, envelope, ask } = listing;
    const params = { _meta: envelope, ...(cursor === undefined ? {} : { cursor }) };
    ask(newRequest(id, 'tools/list', params), {
      isResponseOnly: true,
      isOpen: () => listing.waiting.size > 0,
      send: () => true,
      whenWritable() {},
      whenGone: (callback) => (listing.cancel = callback),
      end() {},
      fail: (failure) => this.#settle(listing, ({ call }) => call.fail(failure)),
      finish: (response) => {
        this.#takePage(listing, response, page);
        return true;
      },
    });
  }

  #takePage(listing: Listing, response: RpcResponse, page: number): void {
    if (response.failed) {
      // What the server says of itself, of its tools or of its connection, is not about the arguments.
      this.#settle(listing, ({ call, request: { id } }) => call.finish(rewriteResponse(response, id, jsonOfId(id))));
      return;
    }
    for (const waiting of listing.waiting) {
      if (this.#isUnknown(waiting.request)) continue;
      listing.waiting.delete(waiting);
      this.#compare(waiting);
    }
    const next = memberOf(response.json['result'], 'nextCursor');
    if (listing.waiting.size > 0 && typeof next === 'string' && page < maxPages) this.#list(listing, page + 1, next);
    else {
      // A tool that is in no list declares nothing: the server says so itself.
      this.#settle(listing, (waiting) => {
        makeRoom(this.#unlisted, maxUnlisted);
        this.#unlisted.set(unlistedKey(listing.key, waiting.request), this.#clock.now() + unlistedTrustMs);
        this.#compare(waiting);
      });
    }
  }

  /** The list is over. */
  #settle(listing: Listing, end: (waiting: Waiting) => void): void {
    this.#forget(listing);
    for (const waiting of listing.waiting) {
      listing.waiting.delete(waiting);
      end(waiting);
    }
  }

  #forget(listing: Listing): void {
    if (this.#listings.get(listing.key) === listing) this.#listings.delete(listing.key);
  }

  #compare({ request, call, proceed }: Waiting): void {
    const problem = this.#declared.problemOf(request, call.paramHeaders ?? new Map());
    if (problem === undefined) proceed();
    else call.fail({ code: rpcCode.headerMismatch, message: problem });
  }
}

function unlistedKey(listing: string, call: RpcRequest): string {
  return hash('sha256', `${listing} ${String(memberOf(call.json['params'], 'name'))}`, 'base64url');
}
