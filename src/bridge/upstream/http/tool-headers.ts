import { randomBytes } from 'node:crypto';

import { clientCapabilitiesKey, clientInfoKey, protocolVersionKey } from '../../../mcp/envelope-keys.ts';
import { encodeHeaderValue } from '../../../mcp/header-value.ts';
import { memberOf, metaOf, type RequestId, type RpcRequest, type RpcResponse } from '../../../mcp/json-rpc.ts';
import { spanOf } from '../../../mcp/json/locate-members.ts';
import { itemsIn } from '../../../mcp/lists.ts';
import { newRequest } from '../../../mcp/new-message.ts';
import { withResult } from '../../../mcp/trim-list.ts';
import { inOnePiece } from '../../../platform/bytes.ts';
import { DeclaredHeaders, type InvalidTool } from '../../declared-headers.ts';
import { makeRoom } from '../../limits.ts';

/** Tools of which a warning was given that are remembered. */
const maxWarned = 1000;

/** Longest name of a tool in a warning, in characters. */
const maxNameLength = 200;

const method = 'tools/list';

/** Most pages of a list that are read. */
const maxPages = 100;

export interface ToolHeadersOptions {
  /** Sends a request to the server. Returns false if it was not taken. */
  readonly send: (request: RpcRequest) => boolean;
  /** The list has been read, or could not be. */
  readonly onListed: () => void;
  readonly onWarning: (message: string) => void;
}

/**
 * The headers in which the arguments of tools are repeated (MCP 2026-07-28, "Custom Headers from Tool Parameters"), as far as is known
 * from the lists of tools that have passed, and those that are asked for here.
 */
export class ToolHeaders {
  readonly #options: ToolHeadersOptions;
  readonly #declared = new DeclaredHeaders();
  readonly #warned = new Set<string>();
  /** Cannot be guessed, so no id of a client begins with it. */
  readonly #prefix = `mcp-expose-${randomBytes(16).toString('base64url')}-`;
  #lastId = 0;
  /** Of the list that is being read: what each of its requests says of the client, and the pages that have been requested. */
  #listing: { readonly meta: unknown; pages: number } | undefined;

  constructor(options: ToolHeadersOptions) {
    this.#options = options;
  }

  /** Reads the whole list, unless that is being done. @param call because of which. */
  ask(call: RpcRequest): void {
    if (this.#listing !== undefined) return;
    const meta = metaOf(call);
    const keys = [protocolVersionKey, clientCapabilitiesKey, clientInfoKey];
    this.#listing = { meta: Object.fromEntries(keys.map((key) => [key, memberOf(meta, key)])), pages: 0 };
    this.#askForPage();
  }

  /** Whether a request is one of this. */
  isOwn(id: RequestId): boolean {
    return typeof id === 'string' && id.startsWith(this.#prefix);
  }

  /** The server has answered a request of this. */
  takePage(response: RpcResponse): void {
    this.learn(response);
    const cursor = memberOf(response.json['result'], 'nextCursor');
    if (typeof cursor === 'string') this.#askForPage(cursor);
    else this.#end();
  }

  /** A call goes without headers if its tool is in no list. */
  assumeKnown(call: RpcRequest): void {
    const name = memberOf(call.json['params'], 'name');
    if (typeof name === 'string' && this.#declared.of(call) === undefined) this.#declared.set(name, []);
  }

  /**
   * Learns what the tools of a list declare.
   * @returns the same list without the tools whose declarations are invalid, which clients must not use.
   */
  learn(response: RpcResponse): RpcResponse {
    const invalid = this.#declared.learn(response);
    if (invalid.length === 0) return response;
    for (const tool of invalid) this.#warn(tool);
    const names = new Set<unknown>(invalid.map(({ name }) => name));
    const { result } = response.json;
    const tools = itemsIn(method, result)?.filter((tool) => !names.has(memberOf(tool, 'name')));
    return withResult(response, method, Object.assign({}, result, { tools }));
  }

  /** The headers of a call, by name; undefined if nothing is known of its tool. */
  of(call: RpcRequest): Readonly<Record<string, string>> | undefined {
    const headers = this.#declared.of(call)?.map(({ path, header }) => [header, headerValueAt(call, path)] as const);
    return headers && Object.fromEntries(headers.filter((entry): entry is [string, string] => entry[1] !== undefined));
  }

  #askForPage(cursor?: string): void {
    const listing = this.#listing;
    if (listing === undefined) return;
    const params = { _meta: listing.meta, ...(cursor === undefined ? {} : { cursor }) };
    const request = newRequest(`${this.#prefix}${++this.#lastId}`, method, params);
    if (++listing.pages > maxPages || !this.#options.send(request)) this.#end();
  }

  #end(): void {
    this.#listing = undefined;
    this.#options.onListed();
  }

  #warn({ name, problem }: InvalidTool): void {
    const shown = JSON.stringify(name.slice(0, maxNameLength));
    if (this.#warned.has(shown)) return;
    makeRoom(this.#warned, maxWarned);
    this.#warned.add(shown);
    this.#options.onWarning(`left out the tool ${shown} of the server, whose schema is invalid: ${problem}`);
  }
}

/** An argument as the value of a header; undefined if it is not there, or of a type that has no header. */
function headerValueAt(call: RpcRequest, path: readonly string[]): string | undefined {
  // What is parsed of a large message lacks its long strings.
  const span = spanOf(call.bytes, ['params', 'arguments', ...path]);
  const value: unknown = span && JSON.parse(inOnePiece(call.bytes).toString('utf8', span.start, span.end));
  if (typeof value === 'string') return encodeHeaderValue(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
