import type { Clock } from '../../platform/clock.ts';
import { rpcCode, type RequestId, type RpcNotification, type RpcResponse } from '../../mcp/json-rpc.ts';
import { maxOpenServerRequests } from '../limits.ts';
import { callFailure } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { missingCapabilities } from '../translate/capabilities.ts';
import { errorCodeOf, urlElicitationRequired } from '../translate/errors.ts';
import { isInteractive } from '../translate/input-requests.ts';
import { bindingOf } from '../translate/request-state.ts';
import type { ClientCall, ServerSide } from './client-call.ts';
import type { ConnectionTasks } from './connection-tasks.ts';
import { missingFailure, ServerRequest } from './input-request.ts';
import type { LegacyPeer, PeerCall } from './legacy-peer.ts';
import type { ParkedCall, ParkedCalls, Parking } from './parked-calls.ts';
import { OpenInputs } from './open-inputs.ts';
import { OutgoingCall } from './outgoing-call.ts';
import type { RunningCall } from './running-call.ts';
import type { Task } from './task.ts';
import type { TaskSupport } from './task-support.ts';
import { urlRoundOf, type UrlRound } from './url-elicitations.ts';

/** Server requests that come at the same time are put to the client at once, in milliseconds. */
const coalesceMs = 20;

/** A server takes the answer to a request for roots before the next message, but may act on it later, in milliseconds. */
const rootsSettleMs = 30;

/** Retries in a row without an answer to anything, after which a call fails. */
const maxFruitlessRounds = 3;

/** What a flow uses of its connection. */
export interface FlowContext extends ServerSide {
  readonly callerId: string;
  /** Fingerprint of what the server is told of the client. */
  readonly fingerprint: string;
  readonly peer: LegacyPeer;
  readonly clock: Clock;
  readonly parkedCalls: ParkedCalls<Flow>;
  readonly taskSupport: TaskSupport;
  readonly tasks: ConnectionTasks;
  /** Tells the server what it has to know before it gets this call. */
  prepare(call: ClientCall): void;
  /** The server has answered a `tools/list`. */
  learnTools(response: RpcResponse): void;
  /** Server requests from before any call, which this call's client can answer. */
  adoptRequests(call: ClientCall): readonly ServerRequest[];
  /** The call is over in which a server request was to be put to the client. */
  reroute(request: ServerRequest): void;
  /** The progress of the server with this token is that of the flow. */
  watchProgress(token: RequestId, flow: Flow): void;
  /** Called once. @param tokens those whose progress it watched. */
  onEnd(flow: Flow, tokens: readonly RequestId[]): void;
}

/**
 * One call of a modern client in a legacy server, from the request to the result. While the server waits for an answer of the
 * client, the call is parked: no request of the client is open, and the next retry goes on with it.
 */
export class Flow implements PeerCall, ParkedCall, RunningCall {
  readonly callerId: string;
  readonly isInteractive: boolean;
  readonly #context: FlowContext;
  readonly #outgoing: OutgoingCall;
  readonly #tokens: RequestId[] = [];
  /** The client's request that is to be answered; undefined while it is parked. */
  #call: ClientCall | undefined;
  #capabilities: unknown;
  #parking: Parking | undefined;
  #binding: string | undefined;
  readonly #inputs = new OpenInputs();
  /** What to do when all of them are answered. */
  #onAnswered: (() => void) | undefined;
  #fruitlessRounds = 0;
  #urlRounds = 0;
  #urls: UrlRound | undefined;
  /** Capabilities for lack of which a server request was refused. */
  #missing: Readonly<Record<string, unknown>> | undefined;
  /** What the server has made of it, for a client that knows tasks. */
  #task: Task | undefined;
  /** What the call ended with while it was parked. */
  #outcome: RpcResponse | CallFailure | undefined;
  #lastProgress: RpcNotification | undefined;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;

  constructor(call: ClientCall, context: FlowContext) {
    this.callerId = context.callerId;
    this.isInteractive = isInteractive(call.request.method);
    this.#context = context;
    const { peer, taskSupport } = context;
    const onToken = (token: RequestId): void => {
      this.#tokens.push(token);
      context.watchProgress(token, this);
    };
    const { request, progressToken } = call;
    this.#attach(call);
    const taskTtlMs = context.tasks.ttlMs(call.capabilities);
    const hasProgress = progressToken !== undefined;
    this.#outgoing = new OutgoingCall({ request, hasProgress, peer, taskSupport, taskTtlMs, onToken });
  }

  get call(): ClientCall | undefined {
    return this.#call;
  }

  get isAsking(): boolean {
    return this.#inputs.size > 0;
  }

  get capabilities(): unknown {
    return this.#capabilities;
  }

  get taskId(): string | undefined {
    return this.#outgoing.taskId;
  }

  get isRunning(): boolean {
    return this.#outgoing.id !== undefined && this.#outcome === undefined;
  }

  get isHeld(): boolean {
    const { id } = this.#outgoing;
    return id !== undefined && this.#context.peer.isHeld(id);
  }

  get upstreamId(): RequestId | undefined {
    return this.#outgoing.id;
  }

  /** The server can be sent requests now. */
  begin(): void {
    if (this.#isOver || this.#call === undefined) return;
    const early = this.isInteractive ? this.#context.adoptRequests(this.#call) : [];
    if (early.length === 0) {
      this.#send();
      return;
    }
    for (const request of early) this.#inputs.add(request);
    this.#onAnswered = () => this.#after(rootsSettleMs, () => this.#send());
    this.#park();
  }

  /** The client has sent the request again, with answers. */
  resume(call: ClientCall): void {
    this.#parking = undefined;
    this.#attach(call);
    const answered = this.#inputs.takeAnswers(call.request);
    if (this.#outcome !== undefined) {
      this.#flushProgress();
      this.#conclude(this.#outcome);
    } else if (this.#inputs.size === 0) {
      this.#fruitlessRounds = 0;
      this.#flushProgress();
      const goOn = this.#onAnswered;
      this.#onAnswered = undefined;
      goOn?.();
    } else {
      this.#fruitlessRounds = answered ? 0 : this.#fruitlessRounds + 1;
      if (this.#fruitlessRounds < maxFruitlessRounds) this.#park();
      else this.stop(notAnswered);
    }
  }

  ask(request: ServerRequest): void {
    if (this.#inputs.size >= maxOpenServerRequests) {
      request.giveUp();
      return;
    }
    this.#inputs.add(request);
    if (this.#call !== undefined) this.#cancelTimer ??= this.#context.clock.after(coalesceMs, () => this.#park());
  }

  refused(missing: Readonly<Record<string, unknown>>): void {
    this.#missing = { ...this.#missing, ...missing };
  }

  withdraw(id: RequestId): boolean {
    if (!this.#inputs.withdraw(id)) return false;
    if (this.#inputs.size === 0 && this.#call !== undefined) this.#stopTimer();
    return true;
  }

  forgetServerRequests(): void {
    this.#inputs.forgetServerRequests();
  }

  progressed(notification: RpcNotification): void {
    if (this.#call === undefined) this.#lastProgress = notification;
    else this.#call.progress(notification, this.#context);
  }

  elicitationCompleted(id: unknown): void {
    this.#urls?.completed(id);
  }

  answered(response: RpcResponse): void {
    const created = this.#outgoing.createdTask(response);
    if (created !== undefined) this.#task = this.#context.tasks.add(created, this.#capabilities);
    if (created !== undefined && this.#task === undefined) {
      this.#outgoing.awaitTask(created, this);
      return;
    }
    if (this.#call?.request.method === 'tools/list') this.#context.learnTools(response);
    this.#settle(response);
  }

  failed(failure: CallFailure): void {
    this.forgetServerRequests();
    if (this.#call === undefined) this.#end('upstream_exited');
    else this.#settle(failure);
  }

  expire(): void {
    this.#parking = undefined;
    this.#abandon('the client did not return');
    this.#end('expired');
  }

  /** Ends it without an answer of the server. @param failure for the client, if it waits. */
  stop(failure: CallFailure): void {
    if (this.#isOver) return;
    this.#abandon(failure.message);
    this.#call?.fail(failure);
    this.#end('expired');
  }

  lose(failure: CallFailure): void {
    if (this.#isOver) return;
    this.#call?.fail(failure);
    this.#end('upstream_exited');
  }

  #attach(call: ClientCall): void {
    this.#call = call;
    this.#capabilities = call.capabilities;
    call.whenCancelled(() => {
      this.#abandon('the client has cancelled it');
      this.#end('consumed');
    });
  }

  #send(): void {
    if (this.#call === undefined) return;
    this.#context.prepare(this.#call);
    this.#outgoing.send(this);
  }

  #park(): void {
    this.#stopTimer();
    const call = this.#call;
    if (call === undefined) return;
    const { callerId, fingerprint, parkedCalls } = this.#context;
    this.#binding ??= bindingOf(callerId, fingerprint, call.request);
    this.#parking = parkedCalls.park(this, this.#binding);
    this.#call = undefined;
    call.requireInput(this.#inputs.texts(), this.#parking.requestState, this.#context);
  }

  /** The server has ended the call, or cannot. */
  #settle(outcome: RpcResponse | CallFailure): void {
    this.#outcome = outcome;
    if (this.#call !== undefined) this.#conclude(outcome);
  }

  #conclude(outcome: RpcResponse | CallFailure): void {
    const call = this.#call;
    if (call === undefined) return;
    const urls = 'kind' in outcome ? this.#urlRound(outcome) : undefined;
    if (urls !== undefined && 'inputs' in urls) {
      this.#openUrls(urls, call);
      return;
    }
    const end = urls ?? outcome;
    for (const input of this.#inputs.clear()) {
      if (input instanceof ServerRequest) this.#context.reroute(input);
      else input.giveUp();
    }
    if (!('kind' in end)) call.fail(end);
    else if (this.#task !== undefined) this.#task.tell(call);
    else if (end.failed && this.#missing !== undefined) call.fail(missingFailure(this.#missing));
    else call.answer(end, this.#context);
    this.#end('consumed');
  }

  #urlRound(outcome: RpcResponse): ReturnType<typeof urlRoundOf> {
    if (!this.isInteractive || errorCodeOf(outcome) !== urlElicitationRequired) return undefined;
    return urlRoundOf(outcome, ++this.#urlRounds, this.#context.clock);
  }

  /** The client is to open addresses, and then the call is made again (MCP 2025-11-25, elicitation, URL mode errors). */
  #openUrls(urls: UrlRound, call: ClientCall): void {
    const missing = missingCapabilities({ elicitation: { url: {} } }, call.capabilities);
    if (missing !== undefined) {
      call.fail(missingFailure(missing));
      this.#end('consumed');
      return;
    }
    this.#outcome = undefined;
    this.#outgoing.forget();
    this.#urls = urls;
    for (const input of urls.inputs) this.#inputs.add(input);
    this.#onAnswered = () => this.#afterUrls(urls);
    this.#park();
  }

  #afterUrls(urls: UrlRound): void {
    if (urls.isDeclined) {
      this.#decline();
      return;
    }
    const callAgain = (): void => {
      this.#cancelTimer = undefined;
      this.#urls = undefined;
      this.#send();
    };
    if (urls.isCompleted) callAgain();
    else this.#cancelTimer = urls.whenCompleted(callAgain);
  }

  #decline(): void {
    const text = 'the server asks to open an address first, which was declined';
    const call = this.#call;
    if (call?.request.method === 'tools/call') {
      call.answerWith({ content: [{ type: 'text', text }], isError: true }, this.#context);
    } else {
      call?.fail(callFailure('elicitation_declined', text));
    }
    this.#end('consumed');
  }

  #flushProgress(): void {
    const progress = this.#lastProgress;
    this.#lastProgress = undefined;
    if (progress !== undefined) this.#call?.progress(progress, this.#context);
  }

  /** The server need not go on. It is told before its open requests fail, which might end the call as an error. */
  #abandon(reason: string): void {
    if (this.#outcome === undefined) this.#outgoing.cancel(reason);
    this.#task?.cancel();
    this.#inputs.giveUp();
  }

  /** @param why told to a client that comes back. */
  #end(why: Parameters<Parking['leave']>[0]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopTimer();
    this.#parking?.leave(why);
    this.#parking = undefined;
    this.#call = undefined;
    this.#urls?.close();
    this.#context.onEnd(this, this.#tokens);
  }

  #after(delayMs: number, callback: () => void): void {
    this.#cancelTimer = this.#context.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      callback();
    });
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}

const notAnswered: CallFailure = {
  code: rpcCode.invalidParams,
  message: `inputResponses answered nothing ${maxFruitlessRounds} times in a row, and the call was cancelled`,
  data: { reason: 'not_answered' },
};
