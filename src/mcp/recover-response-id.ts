import { isRequestId, memberOf, rpcCode, type RequestId } from './json-rpc.ts';

const idValue = String.raw`("(?:[^"\\]|\\.)*"|-?[\d.]+)`;
const version = String.raw`"jsonrpc"\s*:\s*"2\.0"`;

/** `{"jsonrpc":"2.0","id":7,"result":…`: the order of the Python, Go and Rust SDKs. */
const idInFront = new RegExp(
  String.raw`^\s*\{\s*(?:${version}\s*,\s*)?"id"\s*:\s*${idValue}\s*,\s*(?:${version}\s*,\s*)?"(?:result|error)"`,
);
/** `{"result":…,"jsonrpc":"2.0","id":7}`: the order of the TypeScript SDK. */
const responseInFront = new RegExp(String.raw`^\s*\{\s*(?:${version}\s*,\s*)?"(?:result|error)"`);
const idAtEnd = new RegExp(String.raw`"id"\s*:\s*${idValue}\s*(?:,\s*${version}\s*)?\}\s*$`);

type Json = Readonly<Record<string, unknown>>;

/** The members of a response; other JSON rarely has only these. */
const responseMembers: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'result', 'error']);

/** Greatest length of an error without a message that is shown, in characters. */
const shownLength = 200;

/**
 * Whether a JSON object that is not a JSON-RPC message can only be meant as a response.
 * @param isStdout the object may also be a line of a log with an id.
 */
export function isMeantAsResponse(json: Json, isStdout: boolean): boolean {
  const hasOutcome = Object.hasOwn(json, 'result') || Object.hasOwn(json, 'error');
  const { method } = json;
  if (!hasOutcome && ((method !== undefined && method !== null) || (isStdout && !Object.hasOwn(json, 'jsonrpc')))) {
    return false;
  }
  return !isStdout || Object.hasOwn(json, 'jsonrpc') || Object.keys(json).every((name) => responseMembers.has(name));
}

/** Whether clients can read an error (JSON-RPC 2.0 §5.1). */
export function isErrorObject(error: unknown): boolean {
  return Number.isInteger(memberOf(error, 'code')) && typeof memberOf(error, 'message') === 'string';
}

/** The error of a malformed response, as one that clients can read; undefined if it has none. */
export function errorInMalformed(json: Json): { code: number; message: string; data?: Json } | undefined {
  const { error } = json;
  const isEmpty = isJson(error) && Object.keys(error).length === 0;
  if (error === undefined || error === null || error === false || isEmpty) return undefined;
  const code = memberOf(error, 'code');
  const message = memberOf(error, 'message');
  const data = memberOf(error, 'data');
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : rpcCode.internalError,
    message: wordsIn(message) ?? wordsIn(error) ?? JSON.stringify(error).slice(0, shownLength),
    ...(isJson(data) ? { data } : {}),
  };
}

function wordsIn(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

/** Whether a text with these first bytes is a response. */
export function beginsAsResponse(head: Buffer): boolean {
  return responseInFront.test(head.toString());
}

/**
 * The id of a response that is too long or invalid, from its first and last bytes, so that its request can fail instead of
 * waiting forever. Undefined unless it is a response that writes its members in a common order.
 */
export function recoverResponseId(head: Buffer, tail: Buffer): RequestId | undefined {
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
