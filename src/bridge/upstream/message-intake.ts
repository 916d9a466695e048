import { inOnePiece, type Bytes } from '../../bytes.ts';
import { parseEach, rpcCode, type RequestId, type RpcFault, type RpcMessage } from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import type { TextFindings } from '../../mcp/json/text-reader.ts';
import { idOfUnreadableResponse } from '../../mcp/unreadable.ts';
import { excerpt } from '../../sanitize.ts';
import { edgeBytes, type OverlongLine } from '../../process/line-splitter.ts';

/** Unreadable messages that are reported, per connection; a server that sends nothing else would flood us. */
const maxReports = 10;

/** As much of one as is shown. */
const shownLength = 200;

export interface MessageIntakeOptions {
  readonly maxMessageBytes: number;
  readonly onWarning: (message: string) => void;
  /** The texts are lines of a standard output, into which others than the server's protocol write as well. */
  readonly isStdout?: boolean;
}

/**
 * Makes messages of what a server sends. What cannot be read costs the request whose answer it was, where that can be
 * told, and nothing else.
 */
export interface MessageIntake {
  /**
   * The messages in a JSON text; the text of an event without data, or an empty line, holds none.
   * @param findings as for `parseEach`.
   */
  read(text: Bytes, findings?: TextFindings): readonly RpcMessage[];
  /** What to deliver instead of a message that was too long to be kept. */
  overlong(message: OverlongLine): readonly RpcMessage[];
  /** As `read`, of what came last and without its end: it may be whole all the same, or else nobody waits for it. */
  readLast(text: Bytes): readonly RpcMessage[];
}

export function createMessageIntake(options: MessageIntakeOptions): MessageIntake {
  const { maxMessageBytes, onWarning, isStdout = false } = options;
  let reports = 0;

  function report(words: string): void {
    if (reports++ >= maxReports) return;
    onWarning(reports === maxReports ? `${words}; further ones are not reported` : words);
  }

  function reportStray(text: Buffer, reason: string): void {
    const shown = excerpt(text.toString('utf8', 0, shownLength), shownLength);
    const what = isStdout ? 'wrote a line to stdout that' : 'sent what';
    report(`the server ${what} is not a JSON-RPC message (${reason}), it was skipped: ${shown}`);
  }

  function overlong({ head, tail }: OverlongLine): readonly RpcMessage[] {
    const words = `larger than the ${maxMessageBytes} bytes that a message may have`;
    report(`the server sent a message ${words}, it was dropped`);
    return failed(idOfUnreadableResponse(head, tail), `the server's answer is ${words}`, 'message_too_large');
  }

  function read(text: Bytes, findings?: TextFindings): readonly RpcMessage[] {
    if (text.length === 0) return [];
    if (text.length > maxMessageBytes) {
      const [head, tail] = edgesOf(inOnePiece(text));
      return overlong({ size: text.length, head, tail });
    }
    const found = parseEach(text, findings);
    const [only] = found;
    // Almost always it is one message, and nothing is wrong with it.
    if (found.length === 1 && only !== undefined && only.kind !== 'fault') return [only];
    return found.flatMap((one) => (one.kind === 'fault' ? readFault(inOnePiece(text), one) : [one]));
  }

  function readFault(text: Buffer, { reason, id, isResponse }: RpcFault): readonly RpcMessage[] {
    reportStray(text, reason);
    // A request of the server may have the id of one of ours, and a line of a log an id of its own.
    const isProtocol = isResponse === true && (!isStdout || isMeantAsResponse(text));
    const answered = isProtocol ? id : idOfUnreadableResponse(...edgesOf(text));
    return failed(answered, `the server's answer cannot be read: ${reason}`, 'message_unreadable');
  }

  return {
    read,
    overlong,
    readLast(text) {
      const found = parseEach(text);
      const messages = found.filter((one) => one.kind !== 'fault');
      if (messages.length < found.length) reportStray(inOnePiece(text), 'it is not complete');
      return messages;
    },
  };
}

/** On a standard output, only what has all the marks of JSON-RPC 2.0 is more than noise. */
function isMeantAsResponse(text: Buffer): boolean {
  return text.includes('"2.0"') && (text.includes('"result"') || text.includes('"error"'));
}

function edgesOf(text: Buffer): [head: Buffer, tail: Buffer] {
  return [text.subarray(0, edgeBytes), text.subarray(-edgeBytes)];
}

function failed(id: RequestId | undefined, message: string, reason: string): readonly RpcMessage[] {
  return id === undefined ? [] : [newError({ id, code: rpcCode.internalError, message, data: { reason } })];
}
