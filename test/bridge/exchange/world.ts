// Modern clients of one legacy server in memory.
import {
  createLegacyExchanges,
  type LegacyExchanges,
  type LegacyExchangesOptions,
} from '../../../src/bridge/exchange/legacy-exchanges.ts';
import { parseMessage } from '../../../src/mcp/json-rpc.ts';
import { isObject } from '../../../src/mcp/rpc-message.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { message, request } from '../messages.ts';
import { createFakeCall, type FakeCall } from '../session/fake-sink.ts';

export type Json = Record<string, unknown>;

export interface CallOptions {
  readonly id?: number | string;
  readonly caller?: string;
  readonly capabilities?: Json;
  /** Further members of `params._meta`. */
  readonly meta?: Json;
  readonly policy?: Policy;
  readonly isResponseOnly?: boolean;
  readonly paramHeaders?: ReadonlyMap<string, string>;
}

export interface ExchangeWorld {
  readonly exchanges: LegacyExchanges;
  /** Every server that was started, in order; each answers `initialize` and pings at once unless `isSilent`. */
  readonly servers: FakeUpstream[];
  readonly clock: FakeClock;
  readonly warnings: string[];
  isSilent: boolean;
  /** What servers say of themselves. */
  introduction: Json;
  server(): FakeUpstream;
  /** What the newest server was sent since the last time that this was read, without pings. */
  sent(): Json[];
  /** Lets the newest server say something. */
  say(members: Json, origin?: number): void;
  /** Sends a request of a modern client. */
  call(method: string, params?: Json, options?: CallOptions): FakeCall;
  /** The same, with the params as JSON. */
  raw(method: string, params: string): FakeCall;
  /** Sends a `tools/call`, with the id of its request at the server. */
  begun(params?: Json, options?: CallOptions): { call: FakeCall; id: number };
}

export const asking: Json = { elicitation: {}, sampling: {}, roots: {} };

export function exchangeWorld(options: Partial<LegacyExchangesOptions> = {}): ExchangeWorld {
  const servers: FakeUpstream[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock();
  const read = new Map<FakeUpstream, number>();
  let lastId = 0;

  const exchanges = createLegacyExchanges({
    nextUpstream() {
      const server = createFakeUpstream();
      server.onSent = (line) => {
        const { id, method } = jsonOf(line);
        if (world.isSilent) return;
        if (method === 'initialize') server.say(message({ id, result: world.introduction }));
        if (method === 'ping') server.say(message({ id, result: {} }));
      };
      servers.push(server);
      return server;
    },
    startTimeoutMs: 60_000,
    clientVersion: '1.2.3',
    clock,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });

  const world: ExchangeWorld = {
    exchanges,
    servers,
    clock,
    warnings,
    isSilent: false,
    introduction: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} },
      serverInfo: { name: 'fake', version: '9' },
    },
    server() {
      const newest = servers.at(-1);
      if (newest === undefined) throw new Error('there is no server yet');
      return newest;
    },
    sent() {
      const server = world.server();
      const lines = server.sent.slice(read.get(server) ?? 0);
      read.set(server, server.sent.length);
      return lines.map(jsonOf).filter(({ method }) => method !== 'ping');
    },
    say: (members, origin) => world.server().say(message(members), origin),
    call(
      method,
      params = {},
      { id = ++lastId, caller = 'me', capabilities = asking, meta = {}, policy, isResponseOnly, paramHeaders } = {},
    ) {
      const call: FakeCall = Object.assign(createFakeCall(), { isResponseOnly, paramHeaders });
      const envelope = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': capabilities,
        'io.modelcontextprotocol/clientInfo': { name: 'client', version: '0' },
        ...meta,
      };
      const sent = request(id, method, { ...params, _meta: envelope });
      exchanges.request({ id: caller, label: caller }, sent, call, policy);
      return call;
    },
    raw(method, params) {
      const call = createFakeCall();
      const envelope = JSON.stringify({ 'io.modelcontextprotocol/clientCapabilities': asking });
      const text = `{"jsonrpc":"2.0","id":${++lastId},"method":"${method}","params":${params.slice(0, -1)},"_meta":${envelope}}}`;
      const sent = parseMessage(Buffer.from(text));
      if (sent.kind !== 'request') throw new Error('the test wrote no request');
      exchanges.request({ id: 'me', label: 'me' }, sent, call);
      return call;
    },
    begun(params = { name: 'tool' }, callOptions = {}) {
      const call = world.call('tools/call', params, callOptions);
      const id = world.sent().findLast(({ method }) => method === 'tools/call')?.['id'];
      if (typeof id !== 'number') throw new Error('the call did not reach the server');
      return { call, id };
    },
  };
  return world;
}

export function jsonOf(line: string): Json {
  return parseJson<Json>(line);
}

/** A value that the test knows to be an object. */
export function objectIn(value: unknown): Json {
  if (!isObject(value)) throw new Error(`not an object: ${JSON.stringify(value)}`);
  return value;
}

/** The result of the only response. */
export function resultOf({ responses, failures }: FakeCall): Json {
  const [response] = responses;
  if (responses.length !== 1 || response === undefined) throw new Error(`no result: ${JSON.stringify(failures)}`);
  return objectIn(response.json['result']);
}

export interface Asked {
  readonly keys: string[];
  readonly inputRequests: Json;
  readonly requestState: string;
}

/** What the client is asked, and the state to come back with. */
export function askedIn(call: FakeCall): Asked {
  const { resultType, inputRequests, requestState } = resultOf(call);
  if (resultType !== 'input_required') throw new Error(`not input_required: ${String(resultType)}`);
  const requests = objectIn(inputRequests);
  return { keys: Object.keys(requests), inputRequests: requests, requestState: String(requestState) };
}
