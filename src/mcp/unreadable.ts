import { isRequestId, type RequestId } from './json-rpc.ts';

const idValue = String.raw`("(?:[^"\\]|\\.)*"|-?[\d.]+)`;
const version = String.raw`"jsonrpc"\s*:\s*"2\.0"`;

/** `{"jsonrpc":"2.0","id":7,"result":…`: the order in which the Python, Go and Rust SDKs write. */
const idInFront = new RegExp(
  String.raw`^\s*\{\s*(?:${version}\s*,\s*)?"id"\s*:\s*${idValue}\s*,\s*(?:${version}\s*,\s*)?"(?:result|error)"`,
);
/** `{"result":…,"jsonrpc":"2.0","id":7}`: the order in which the TypeScript SDK writes. */
const responseInFront = new RegExp(String.raw`^\s*\{\s*(?:${version}\s*,\s*)?"(?:result|error)"`);
const idAtEnd = new RegExp(String.raw`"id"\s*:\s*${idValue}\s*(?:,\s*${version}\s*)?\}\s*$`);

/**
 * The id of a response that is too long to be read, or wrong in itself, from its first and last bytes, so that the
 * request which it answers can fail instead of waiting for ever. Undefined where it is no response or writes its members otherwise.
 */
export function idOfUnreadableResponse(head: Buffer, tail: Buffer): RequestId | undefined {
  const start = head.toString();
  const found = idInFront.exec(start) ?? (responseInFront.test(start) ? idAtEnd.exec(tail.toString()) : null);
  if (found?.[1] === undefined) return undefined;
  try {
    const id: unknown = JSON.parse(found[1]);
    return isRequestId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
