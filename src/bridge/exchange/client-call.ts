import { clientCapabilitiesKey, clientInfoKey, logLevelKey, serverInfoKey } from '../../mcp/envelope-keys.ts';
import {
  memberOf,
  metaOf,
  parseMessage,
  requestTokenOf,
  rpcCode,
  type RequestId,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newResult } from '../../mcp/new-message.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import { severityOf } from '../../mcp/log-levels.ts';
import type { CallFailure, PendingRequest, UpstreamMessage } from '../session/pending-request.ts';
import type { SessionCaller } from '../session/sessions.ts';
import { rewriteProgress, rewriteResponse } from '../shared/messages.ts';
import type { ModernResults } from '../translate/modern-results.ts';

/** What the answers to a client need of its server. */
export interface ServerSide {
  readonly results: ModernResults;
  /** As JSON; undefined if the server has not introduced itself. */
  readonly serverInfo: Buffer | undefined;
  /** Reads no more from the server while this client does not take what it was sent. */
  waitFor(client: PendingRequest): void;
}

/** One request of a modern client, from its arrival to its end: as much of a call as one HTTP exchange carries. */
export class ClientCall {
  readonly caller: SessionCaller;
  readonly request: RpcRequest;
  /** Those of the client that hold for this call. */
  readonly capabilities: unknown;
  readonly clientInfo: unknown;
  /** Of the least severe log messages that the client wants; undefined: it wants none. */
  readonly severity: number | undefined;
  readonly progressToken: RequestId | undefined;
  readonly #pending: PendingRequest;
  #isOver = false;

  /** @param isAskable false if nobody must be asked, whatever the client declares. */
  constructor(caller: SessionCaller, request: RpcRequest, pending: PendingRequest, isAskable: boolean) {
    const meta = metaOf(request);
    const declared = memberOf(meta, clientCapabilitiesKey);
    this.caller = caller;
    this.request = request;
    this.capabilities = isAskable ? declared : withoutAnswers(declared);
    this.clientInfo = memberOf(meta, clientInfoKey);
    this.severity = severityOf(memberOf(meta, logLevelKey));
    this.progressToken = requestTokenOf(request);
    this.#pending = pending;
  }

  /** Calls back if the client gives up before it has its answer. */
  whenCancelled(callback: () => void): void {
    this.#pending.whenGone(() => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#pending.end();
      callback();
    });
  }

  /** A `notifications/progress` of the server, if the client wants it. */
  progress(notification: RpcNotification, server: ServerSide): void {
    const token = this.progressToken;
    if (token !== undefined) this.send(rewriteProgress(notification, token, jsonOfId(token)), server);
  }

  /** Whether it has yet to be answered, and its client is there. */
  isOpen(): boolean {
    return !this.#isOver && this.#pending.isOpen();
  }

  send(message: UpstreamMessage, server: ServerSide): void {
    if (!this.offer(message)) server.waitFor(this.#pending);
  }

  /** Passes on without waiting, for a client that may be slow for long. @returns as `MessageSink.send`. */
  offer(message: UpstreamMessage): boolean {
    return this.#isOver || this.#pending.isResponseOnly === true || this.#pending.send(message);
  }

  whenWritable(callback: () => void): void {
    this.#pending.whenWritable(callback);
  }

  /** @param response of the legacy server. */
  answer(response: RpcResponse, server: ServerSide): void {
    this.#finish(server.results.translate(response, this.request, this.request.id), server);
  }

  /** @param response a modern one, to another request. */
  answerAs(response: RpcResponse): void {
    const { id } = this.request;
    this.#finish(rewriteResponse(response, id, jsonOfId(id)), undefined);
  }

  /** A result of our own. */
  answerWith(result: Readonly<Record<string, unknown>>, server: ServerSide): void {
    this.answer(newResult(this.request.id, result), server);
  }

  /** @param inputRequests by key, as JSON. */
  requireInput(inputRequests: ReadonlyMap<string, string>, requestState: string, server: ServerSide): void {
    const members = Array.from(inputRequests, ([key, text]) => `${JSON.stringify(key)}:${text}`);
    const info =
      server.serverInfo === undefined ? '' : `${JSON.stringify(serverInfoKey)}:${server.serverInfo.toString()}`;
    const result = `{"resultType":"input_required","inputRequests":{${members.join(',')}},"requestState":"${requestState}","_meta":{${info}}}`;
    const response = parseMessage(
      Buffer.from(`{"jsonrpc":"2.0","id":${jsonOfId(this.request.id)},"result":${result}}`),
    );
    if (response.kind === 'response') this.#finish(response, server);
    else this.fail({ code: rpcCode.internalError, message: 'what the server asks for cannot be passed on' });
  }

  fail(failure: CallFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending.fail(failure);
  }

  #finish(response: RpcResponse, server: ServerSide | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!this.#pending.finish(response)) server?.waitFor(this.#pending);
  }
}

/** The same without what a client declares in order to be asked. */
function withoutAnswers(capabilities: unknown): unknown {
  const {
    roots: _roots,
    sampling: _sampling,
    elicitation: _elicitation,
    ...others
  } = isObject(capabilities) ? capabilities : {};
  return others;
}
