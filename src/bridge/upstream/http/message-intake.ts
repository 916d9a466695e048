import { parseMessages, rpcCode, type RequestId, type RpcMessage } from '../../../mcp/json-rpc.ts';
import { newError } from '../../../mcp/new-message.ts';
import { idOfUnreadableResponse } from '../../../mcp/unreadable.ts';
import { sanitize } from '../../../sanitize.ts';
import { edgeBytes, type OverlongLine } from '../line-splitter.ts';

/** Unreadable messages that are reported, per connection; a server that sends nothing else would flood us. */
const maxReports = 10;

/** As much of one as is shown. */
const shownLength = 200;

/**
 * Makes messages of what a server sends. What cannot be read costs the request whose answer it was, where that can be
 * told, and nothing else.
 */
export interface MessageIntake {
  /** The messages in a JSON text; the text of an event without data holds none. */
  read(text: Buffer): readonly RpcMessage[];
  /** What to deliver instead of a message that was too long to be kept. */
  overlong(message: OverlongLine): readonly RpcMessage[];
}

export function createMessageIntake(options: {
  readonly maxMessageBytes: number;
  readonly onWarning: (message: string) => void;
}): MessageIntake {
  const { maxMessageBytes, onWarning } = options;
  let reports = 0;

  function report(words: string): void {
    if (reports++ >= maxReports) return;
    onWarning(reports === maxReports ? `${words}; further ones are not reported` : words);
  }

  function overlong({ head, tail }: OverlongLine): readonly RpcMessage[] {
    const words = `larger than the ${maxMessageBytes} bytes that a message may have`;
    report(`the server sent a message ${words}, it was dropped`);
    return failed(idOfUnreadableResponse(head, tail), `the server's answer is ${words}`, 'message_too_large');
  }

  return {
    overlong,
    read(text) {
      if (text.length === 0) return [];
      const [head, tail] = [text.subarray(0, edgeBytes), text.subarray(-edgeBytes)];
      if (text.length > maxMessageBytes) return overlong({ size: text.length, head, tail });
      const parsed = parseMessages(text);
      if (parsed.kind === 'batch') return parsed.messages;
      if (parsed.kind !== 'fault') return [parsed];
      const shown = sanitize(text.toString('utf8', 0, shownLength));
      report(`the server sent what is not a JSON-RPC message (${parsed.reason}), it was skipped: ${shown}`);
      const words = `the server's answer cannot be read: ${parsed.reason}`;
      return failed(parsed.id ?? idOfUnreadableResponse(head, tail), words, 'message_unreadable');
    },
  };
}

function failed(id: RequestId | undefined, message: string, reason: string): readonly RpcMessage[] {
  return id === undefined ? [] : [newError({ id, code: rpcCode.internalError, message, data: { reason } })];
}
