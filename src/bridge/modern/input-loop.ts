import type { Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';
import { memberOf } from '../../mcp/json-rpc.ts';
import { newNotification } from '../../mcp/new-message.ts';
import { defaultMaxMessageBytes } from '../limits.ts';
import { missingCapabilities, requiredCapabilities } from '../translate/capabilities.ts';
import { readInputRequired, serverRequestOf, writtenResult, type InputRequest } from '../translate/input-required.ts';

/** Results that ask for input, in one call: a server that never has enough would keep a client busy for ever. */
const maxRounds = 10;

/** What one result may ask for: a person has to read it. */
const maxRequests = 100;

/** All answers of one round together, in bytes: they wait here for the last one, and become one message. */
const maxAnswerBytes = defaultMaxMessageBytes;

/** How long a client may take to answer, in milliseconds: a person may have to. */
const answerMs: number = 10 * 60 * 1000;

/** The pause before a call is sent again for which nobody was asked, in milliseconds: the server waits for something else. */
const pacingMs = 250;

/** A call of a legacy client that a modern server may answer with a request for input. */
export interface InteractiveCall {
  /** As the client sent it. */
  readonly request: RpcRequest;
  /** Results so far that asked for input. */
  rounds: number;
}

export interface InputLoopOptions<Call> {
  readonly clock: Clock;
  /** What the client has declared. */
  readonly capabilities: () => unknown;
  /** Sends the client a server request, or its withdrawal, on the stream of the call. */
  readonly toClient: (message: RpcMessage, origin: RequestId) => void;
  /** Sends the call again, with the answers by their keys. */
  readonly onAnswered: (call: Call, answers: ReadonlyMap<string, Buffer>, requestState: Buffer | undefined) => void;
  /**
   * The call ends without a result.
   * @param isServerFault it is not for the client, or its model, to do something about it.
   */
  readonly onFailed: (call: Call, message: string, isServerFault: boolean) => void;
}

/** One round: what a call waits for. */
interface Round {
  readonly requestState: Buffer | undefined;
  /** By the ids of the server requests, the keys of what is not answered. */
  readonly open: Map<RequestId, string>;
  readonly answers: Map<string, Buffer>;
  answerBytes: number;
  readonly cancelTimer: () => void;
}

/**
 * Puts what a modern server asks in its results to a legacy client, as server requests on the call's own stream, and sends the
 * call again with the answers (MCP 2026-07-28, "Multi round-trip requests").
 */
export class InputLoop<Call extends InteractiveCall> {
  readonly #options: InputLoopOptions<Call>;
  readonly #rounds = new Map<Call, Round>();
  readonly #calls = new Map<RequestId, Call>();
  /** Whole numbers: some clients answer nothing else under the same id. */
  #lastId = 0;

  constructor(options: InputLoopOptions<Call>) {
    this.#options = options;
  }

  /**
   * The server has answered a call with the result type `input_required`, or its task has that status.
   * @param answered keys for which the client is not asked again.
   */
  begin(call: Call, response: RpcResponse, answered: ReadonlySet<string> = new Set()): void {
    const { onFailed, onAnswered, clock } = this.#options;
    const required = readInputRequired(response);
    if (required === undefined) {
      onFailed(call, 'the server asks for input, but does not say for which', true);
      return;
    }
    if (++call.rounds > maxRounds) {
      onFailed(call, `the server has asked for input more than ${maxRounds} times`, false);
      return;
    }
    const { requestState } = required;
    const requests = required.requests.filter(({ key }) => !answered.has(key));
    if (requests.length > maxRequests) {
      onFailed(call, `the server asks for ${requests.length} things at once, and ${maxRequests} are the most`, false);
      return;
    }
    if (requests.length === 0) {
      const cancelTimer = clock.after(pacingMs, () => {
        this.#rounds.delete(call);
        onAnswered(call, new Map(), requestState);
      });
      this.#rounds.set(call, { requestState, open: new Map(), answers: new Map(), answerBytes: 0, cancelTimer });
      return;
    }
    this.#ask(call, requests, requestState);
  }

  #ask(call: Call, requests: readonly InputRequest[], requestState: Buffer | undefined): void {
    const { onFailed, toClient, clock } = this.#options;
    const open = new Map<RequestId, string>();
    const asked: RpcRequest[] = [];
    for (const request of requests) {
      const message = serverRequestOf(request, ++this.#lastId);
      const needed = message && requiredCapabilities(request.method, message.json['params']);
      if (message === undefined || needed === undefined) {
        onFailed(
          call,
          `the server asks for ${JSON.stringify(request.method.slice(0, 64))}, which no client knows`,
          true,
        );
        return;
      }
      if (missingCapabilities(needed, this.#options.capabilities()) !== undefined) {
        onFailed(call, `the server asks for ${request.method}, of which the client is not capable`, false);
        return;
      }
      open.set(message.id, request.key);
      asked.push(message);
    }
    const cancelTimer = clock.after(answerMs, () => {
      this.#giveUp(call, `the client has not answered within ${answerMs / 60_000} minutes`);
    });
    this.#rounds.set(call, { requestState, open, answers: new Map(), answerBytes: 0, cancelTimer });
    for (const id of open.keys()) this.#calls.set(id, call);
    for (const message of asked) {
      // The client may be gone, which fails the call at once.
      if (this.#calls.get(message.id) === call) toClient(message, call.request.id);
    }
  }

  /** The client has answered a server request. */
  answer(response: RpcResponse): void {
    const call = this.#calls.get(response.id);
    const round = call && this.#rounds.get(call);
    const key = round?.open.get(response.id);
    if (call === undefined || round === undefined || key === undefined) return;
    this.#calls.delete(response.id);
    round.open.delete(response.id);
    const result = writtenResult(response);
    if (result === undefined) {
      const message = memberOf(response.json['error'], 'message');
      this.#giveUp(
        call,
        `the client has refused what the server asks for: ${typeof message === 'string' ? message : 'no reason given'}`,
      );
      return;
    }
    round.answerBytes += result.length;
    if (round.answerBytes > maxAnswerBytes) {
      this.#giveUp(call, `the answers to what the server asks are larger than ${maxAnswerBytes} bytes together`);
      return;
    }
    round.answers.set(key, result);
    if (round.open.size > 0) return;
    round.cancelTimer();
    this.#rounds.delete(call);
    this.#options.onAnswered(call, round.answers, round.requestState);
  }

  /** Ends the wait of a call: what its client has not answered is withdrawn. @returns whether the call waited. */
  withdraw(call: Call, reason: string): boolean {
    const round = this.#rounds.get(call);
    if (round === undefined) return false;
    this.#drop(call, round);
    for (const requestId of round.open.keys()) {
      this.#options.toClient(newNotification('notifications/cancelled', { requestId, reason }), call.request.id);
    }
    return true;
  }

  /** Forgets all of it, without a word to anybody. */
  clear(): void {
    for (const [call, round] of this.#rounds) this.#drop(call, round);
  }

  #giveUp(call: Call, message: string): void {
    this.withdraw(call, message);
    this.#options.onFailed(call, message, false);
  }

  #drop(call: Call, round: Round): void {
    round.cancelTimer();
    this.#rounds.delete(call);
    for (const id of round.open.keys()) this.#calls.delete(id);
  }
}
