import { inOnePiece } from '../platform/bytes.ts';
import type { Envelope } from './envelope.ts';
import { editMembers, type EditPlan } from './json/edit-members.ts';
import { lazyMessage } from './lazy-message.ts';
import { isObject, type RpcMessage, type RpcNotification, type RpcRequest, type RpcResponse } from './rpc-message.ts';

/**
 * The same message with some members changed; the very same object if nothing had to change.
 * @param plan must not touch what makes the message what it is: its id, its method, whether it failed, its progress token.
 */
export function editMessage(message: RpcRequest, plan: EditPlan): RpcRequest;
export function editMessage(message: RpcNotification, plan: EditPlan): RpcNotification;
export function editMessage(message: RpcResponse, plan: EditPlan): RpcResponse;
export function editMessage(message: RpcMessage, plan: EditPlan): RpcMessage {
  const { bytes, changes, unchangedBytes } = editMembers(message.bytes, plan);
  if (changes.length === 0) return message;
  const { envelope } = message;
  // Not parsed here: most messages never are.
  if (envelope !== undefined) {
    return lazyMessage(inOnePiece(bytes), edited(envelope, unchangedBytes));
  }
  let { json } = message;
  for (const {
    path: [name = '', ...rest],
    text,
  } of changes) {
    json = { ...json, [name]: withMember(json[name], rest, text) };
  }
  return { ...message, bytes, json };
}

/** Written out, since a spread takes ten times as long. */
function edited(
  { id, idSpan, method, failed, progressToken, requestToken }: Envelope,
  unchangedBytes: number,
): Envelope {
  const keptSpan = idSpan !== undefined && idSpan.end <= unchangedBytes ? idSpan : undefined;
  return { id, idSpan: keptSpan, method, failed, mayHaveMeta: true, progressToken, requestToken };
}

/** A copy, since other messages may share what is not changed. */
function withMember(value: unknown, [name, ...rest]: readonly string[], text: Buffer | undefined): unknown {
  if (name === undefined) return text === undefined ? undefined : JSON.parse(text.toString());
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (String(index) === name ? withMember(item, rest, text) : item));
  }
  const members = new Map(Object.entries(isObject(value) ? value : {}));
  const changed = withMember(members.get(name), rest, text);
  if (changed === undefined) members.delete(name);
  else members.set(name, changed);
  return Object.fromEntries(members);
}
