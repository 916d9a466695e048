// A client of revision 2026-07-28 over raw HTTP: nothing that an SDK would add, repair or answer by itself.
import type { JsonRpcMessage } from './json-rpc-message.ts';
import { clientHeaders, exchange, type Reply } from './raw-mcp.ts';

export const modernRevision = '2026-07-28';

export const metaKeys = {
  version: 'io.modelcontextprotocol/protocolVersion',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
} as const;

export interface ModernClient {
  /** POSTs one request and hands over its response before its body. */
  post(id: string | number, method: string, params?: Params, more?: More): Promise<Reply>;
  /** The answer to one request. */
  request(id: string | number, method: string, params?: Params, more?: More): Promise<JsonRpcMessage>;
  call(id: string | number, tool: string, args?: object, more?: More): Promise<JsonRpcMessage>;
}

type Params = Record<string, unknown>;

interface More {
  /** Members of `params._meta` beside the envelope, or instead of its own; `undefined` removes one. */
  meta?: Record<string, unknown>;
  /** Members of params beside the others: inputResponses, requestState. */
  params?: Params;
  /** Headers instead of the standard ones of this name, or beside them; `undefined` removes one. */
  headers?: Record<string, string | undefined>;
}

/** The standard header `Mcp-Name`, for the methods that have it. */
function nameIn({ name, uri, taskId }: Params): string | undefined {
  return [name, uri, taskId].find((each) => typeof each === 'string');
}

export function modernClient(url: string, token: string, capabilities: object = {}): ModernClient {
  const post: ModernClient['post'] = (
    id,
    method,
    params = {},
    { meta = {}, params: beside = {}, headers = {} } = {},
  ) => {
    const envelope = {
      [metaKeys.version]: modernRevision,
      [metaKeys.capabilities]: capabilities,
      [metaKeys.clientInfo]: { name: 'modern-client', version: '0' },
    };
    const all: Params = { ...params, ...beside, _meta: { ...envelope, ...meta } };
    const named = /^(?:tools\/call|prompts\/get|resources\/read|tasks\/\w+)$/.test(method);
    const standard: Record<string, string | undefined> = {
      'MCP-Protocol-Version': modernRevision,
      'Mcp-Method': method,
      'Mcp-Name': named ? nameIn(all) : undefined,
      ...headers,
    };
    const sent = Object.entries(standard).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    );
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: all });
    return exchange(url, { method: 'POST', headers: clientHeaders(token, sent), body });
  };
  const request: ModernClient['request'] = async (id, ...rest) => {
    const reply = await post(id, ...rest);
    return reply.next((message) => message.id === id && message.method === undefined, 30_000);
  };
  return {
    post,
    request,
    call: (id, name, args = {}, more = {}) => request(id, 'tools/call', { name, arguments: args }, more),
  };
}

/** What a server wants to know before it completes. */
export interface InputRequired {
  inputRequests: Record<string, { method: string; params: Record<string, unknown> }>;
  requestState?: string;
}

/** The result of a request that is not complete. */
export function inputRequiredOf({ result }: JsonRpcMessage): InputRequired {
  if (result?.['resultType'] !== 'input_required') throw new Error(`not input_required: ${JSON.stringify(result)}`);
  return { inputRequests: {}, ...result };
}

/** Members of a retry's params. */
export type Answers = { inputResponses: Record<string, unknown>; requestState?: string };

/** The members of the retry: each question answered by `answer`, and the state. */
export function answering(
  message: JsonRpcMessage,
  answer: (request: { method: string; params: Record<string, unknown> }) => unknown,
): Answers {
  const { inputRequests, requestState } = inputRequiredOf(message);
  const answers = Object.entries(inputRequests).map(([key, request]) => [key, answer(request)] as const);
  return { inputResponses: Object.fromEntries(answers), ...(requestState !== undefined && { requestState }) };
}
