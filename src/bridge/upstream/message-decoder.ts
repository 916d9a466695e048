import { inOnePiece, piecesOf, type Bytes } from '../../platform/bytes.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import {
  parseEach,
  rpcCode,
  type RequestId,
  type RpcFault,
  type RpcMessage,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import type { TextFindings } from '../../mcp/json/text-reader.ts';
import {
  beginsAsResponse,
  errorInMalformed,
  recoverResponseId,
  isErrorObject,
  isMeantAsResponse,
} from '../../mcp/recover-response-id.ts';
import { excerpt } from '../../platform/text/sanitize.ts';
import { edgeBytes, type OverlongLine } from '../../platform/process/line-splitter.ts';
import { OpenRequests } from './open-requests.ts';

/** Unreadable messages that are reported, per connection; a server that sends nothing else would flood us. */
const maxReports = 10;

/** As much of one as is shown, and of its id, in characters. */
const shownLength = 200;
const shownIdLength = 40;

/**
 * What a server prints at its start, or around its answers, may look like an answer of another version of JSON-RPC: for so
 * long the real one is waited for, in milliseconds.
 */
const doubtMs = 100;

const openers: ReadonlySet<number | undefined> = new Set([0x7b, 0x5b]);
const closers: ReadonlySet<number | undefined> = new Set([0x7d, 0x5d]);

const nothing: Buffer = Buffer.alloc(0);

export interface MessageDecoderOptions {
  readonly maxMessageBytes: number;
  readonly onWarning: (message: string) => void;
  /** The texts are lines of a standard output, into which others than the server's protocol write as well. */
  readonly isStdout?: boolean;
  /** Gets what turns out later to have been an answer; only from a standard output. */
  readonly onLate?: (messages: readonly RpcMessage[]) => void;
}

/** What is known of a text from where it came. */
export interface TextOrigin {
  /** As for `parseEach`. */
  readonly findings?: TextFindings | undefined;
  /** The request for whose answer there is a way of its own, on which the text came. */
  readonly request?: RequestId | undefined;
}

/**
 * Makes messages of what a server sends. What cannot be read costs the request whose answer it was, where that can be
 * told, and nothing else.
 */
export class MessageDecoder {
  readonly #options: MessageDecoderOptions;
  readonly #maxMessageBytes: number;
  readonly #isStdout: boolean;
  readonly #requests = new OpenRequests();
  readonly #tooLong: string;
  #reports = 0;
  #nextSummary = 10 * maxReports;

  constructor(options: MessageDecoderOptions) {
    this.#options = options;
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#isStdout = options.isStdout ?? false;
    this.#tooLong = `larger than the ${options.maxMessageBytes} bytes that a message may have`;
  }

  sent(message: RpcMessage): void {
    this.#requests.sent(message);
  }

  /** The messages in a JSON text; the text of an event without data, or an empty line, holds none. */
  read(text: Bytes, { findings, request }: TextOrigin = {}): readonly RpcMessage[] {
    if (text.length === 0) return [];
    if (text.length > this.#maxMessageBytes) {
      const [head, tail] = edgesOf(inOnePiece(text));
      this.#report(() => `the server sent a message ${this.#tooLong}, it was dropped`);
      return this.#failTooLong(recoverResponseId(head, tail) ?? this.#likelyRequest(head, request));
    }
    // Most of what is written to a standard output and is no message looks like none, and costs no parser's exception.
    const found = this.#isStdout && !mayBeJson(text) ? [notJson] : parseEach(text, findings);
    const [only] = found;
    // Almost always it is one message, and nothing is wrong with it.
    if (found.length === 1 && only !== undefined && this.#isSound(only)) return [only];
    return found.flatMap((one) => {
      if (one.kind === 'fault') return this.#readFault(inOnePiece(text), one, request);
      return this.#isSound(one) ? [one] : this.#failMalformed(inOnePiece(text), one);
    });
  }

  /**
   * What to deliver instead of a message that is too long to be kept.
   * @param isOver false when it has just become too long, and may never end.
   */
  overlong({ head, tail }: OverlongLine, isOver: boolean, request?: RequestId): readonly RpcMessage[] {
    if (!isOver) this.#report(() => `the server sent a message ${this.#tooLong}, it was dropped`);
    // What stands at the end of it while it goes on is not its end.
    const id = recoverResponseId(head, isOver ? tail : nothing);
    return this.#failTooLong(id ?? (isOver ? undefined : this.#likelyRequest(head, request)));
  }

  /** As `read`, of what came last and without its end: it may be whole all the same, or else nobody waits for it. */
  readLast(text: Bytes): readonly RpcMessage[] {
    const found = parseEach(text);
    const messages = found.filter((one) => one.kind !== 'fault');
    if (messages.length < found.length) this.#reportStray(inOnePiece(text), 'it is not complete');
    return messages;
  }

  /** A response as whoever waits for it knows it. Undefined, and reported, where nobody does. */
  admit(response: RpcResponse): RpcResponse | undefined {
    const known = this.#requests.answered(response);
    if (known === undefined) {
      this.#report(() => {
        const id = excerpt(jsonOfId(response.id), shownIdLength);
        const text = beginningOf(inOnePiece(response.bytes));
        return `the server answered a request that it was not sent (id ${id}), the answer was dropped: ${text}`;
      });
    }
    return known;
  }

  #isSound(message: RpcMessage | RpcFault): message is RpcMessage {
    if (message.kind === 'response') return !message.failed || isErrorObject(message.json['error']);
    // The outline is that of a message in which nothing is unusual.
    if (message.kind !== 'request' || message.envelope !== undefined) return message.kind !== 'fault';
    const isAnswer = Object.hasOwn(message.json, 'result') || Object.hasOwn(message.json, 'error');
    return !isAnswer || this.#requests.find(message.id) === undefined;
  }

  #readFault(text: Buffer, { reason, id, json }: RpcFault, request?: RequestId): readonly RpcMessage[] {
    if (json !== undefined && isMeantAsResponse(json, this.#isStdout)) {
      const answered = (id === undefined ? undefined : this.#requests.find(id)) ?? request;
      if (answered !== undefined) return this.#failWith(text, json, answered, reason);
    }
    this.#reportStray(text, reason);
    return json === undefined ? this.#failUnreadable(recoverResponseId(...edgesOf(text)), reason) : [];
  }

  /** What JSON-RPC would let pass but no client can read, or what is an answer in spite of its method. */
  #failMalformed(text: Buffer, message: RpcMessage): readonly RpcMessage[] {
    const id = message.kind === 'notification' ? undefined : this.#requests.find(message.id);
    // It is reported when it is not admitted.
    if (id === undefined) return [message];
    const isResponse = message.kind === 'response';
    const reason = isResponse ? '"error" has no code and message' : 'a "method" beside a "result" or an "error"';
    return this.#failWith(text, message.json, id, reason);
  }

  #failWith(text: Buffer, json: Json, id: RequestId, reason: string): readonly RpcMessage[] {
    const { onLate } = this.#options;
    this.#reportStray(text, reason);
    const error = errorInMalformed(json);
    if (error !== undefined) return [newError({ id, data: { reason: 'message_unreadable' }, ...error })];
    if (onLate === undefined || json['jsonrpc'] === '2.0') return this.#failUnreadable(id, reason);
    setTimeout(() => onLate(this.#failUnreadable(id, reason)), doubtMs).unref();
    return [];
  }

  #failUnreadable(id: RequestId | undefined, reason: string): readonly RpcMessage[] {
    return this.#fail(id, `the server's answer cannot be read: ${reason}`, 'message_unreadable');
  }

  #failTooLong(id: RequestId | undefined): readonly RpcMessage[] {
    return this.#fail(id, `the server's answer is ${this.#tooLong}`, 'message_too_large');
  }

  #fail(id: RequestId | undefined, message: string, reason: string): readonly RpcMessage[] {
    const known = id === undefined ? undefined : this.#requests.find(id);
    if (known === undefined) return [];
    return [newError({ id: known, code: rpcCode.internalError, message, data: { reason } })];
  }

  /** Where the id stands behind the result, the request of an answer that goes on is known when there is only one. */
  #likelyRequest(head: Buffer, request: RequestId | undefined): RequestId | undefined {
    return beginsAsResponse(head) ? (request ?? this.#requests.only()) : undefined;
  }

  #reportStray(text: Buffer, reason: string): void {
    const what = this.#isStdout ? 'wrote a line to stdout that' : 'sent what';
    this.#report(
      () => `the server ${what} is not a JSON-RPC message (${reason}), it was skipped: ${beginningOf(text)}`,
    );
  }

  /** The first ones are shown each, further ones are counted: with each number that has one more digit. */
  #report(words: () => string): void {
    const { onWarning } = this.#options;
    this.#reports++;
    if (this.#reports <= maxReports) {
      onWarning(this.#reports === maxReports ? `${words()}; further ones are only counted` : words());
    } else if (this.#reports === this.#nextSummary) {
      this.#nextSummary *= 10;
      onWarning(`the server has sent ${this.#reports} messages by now that could not be used, they were skipped`);
    }
  }
}

type Json = Readonly<Record<string, unknown>>;

/** Up to what a message carries. An error is shown, since it is about the server. */
const payload = /^(\s*\[?\s*\{.*?"(?:params|result)"\s*:).*/s;

/** To be shown: what is meant as a message may have something private in it. */
function beginningOf(text: Buffer): string {
  return excerpt(text.toString('utf8', 0, shownLength), shownLength).replace(payload, '$1 …');
}

const notJson: RpcFault = { kind: 'fault', code: rpcCode.parseError, reason: 'the message is not valid JSON' };

const whiteSpace: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);

/** Whether the first byte that is not white space opens an object or an array, and the last one closes one. */
function mayBeJson(text: Bytes): boolean {
  if (Buffer.isBuffer(text) && openers.has(text[0]) && closers.has(text[text.length - 1])) return true;
  const pieces = piecesOf(text);
  const begin = pieces[0] ?? nothing;
  const end = pieces.at(-1) ?? nothing;
  let first = 0;
  while (whiteSpace.has(begin[first])) first++;
  let last = end.length - 1;
  while (whiteSpace.has(end[last])) last--;
  return openers.has(begin[first]) && closers.has(end[last]);
}

function edgesOf(text: Buffer): [head: Buffer, tail: Buffer] {
  return [text.subarray(0, edgeBytes), text.subarray(-edgeBytes)];
}
