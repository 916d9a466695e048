// Modern clients of one modern server in memory.
import { createSameEraExchanges, type SameEraExchangesOptions } from '../../../src/bridge/modern/same-era-exchanges.ts';
import type { ExchangeCall, Exchanges } from '../../../src/bridge/exchange/exchanges.ts';
import type { RpcRequest } from '../../../src/mcp/json-rpc.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { request } from '../messages.ts';
import { createFakeCall, type FakeCall } from '../session/fake-sink.ts';
import { modernWorld, type ModernWorld } from './world.ts';

export const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
  'io.modelcontextprotocol/clientInfo': { name: 'client', version: '3' },
};

export interface Sent {
  readonly id: number;
  readonly method: string;
  readonly params: Record<string, unknown>;
}

export interface ExchangesWorld {
  readonly world: ModernWorld;
  readonly exchanges: Exchanges;
  /** Sends a request of a client. */
  run(sent: RpcRequest, options?: RunOptions): FakeCall;
  /** What the server was sent since the last time that this was read. */
  sent(): Sent[];
}

export interface RunOptions {
  readonly caller?: string;
  readonly policy?: Policy;
  readonly paramHeaders?: ExchangeCall['paramHeaders'];
}

export function exchangesWorld(options: Partial<SameEraExchangesOptions> = {}): ExchangesWorld {
  const world = modernWorld();
  const { shared, clock, warnings } = world;
  const exchanges = createSameEraExchanges({
    shared,
    clock,
    areCallersKnown: true,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  const run = (sent: RpcRequest, { caller = 'me', policy, paramHeaders }: RunOptions = {}): FakeCall => {
    const pending: FakeCall & ExchangeCall = Object.assign(createFakeCall(), { paramHeaders });
    exchanges.request({ id: caller, label: `${caller}!`, address: '1.2.3.4' }, sent, pending, policy);
    return pending;
  };
  const sent = (): Sent[] => world.sent().map((line) => parseJson<Sent>(line));
  return { world, exchanges, run, sent };
}

export function call(id: number | string = 1, name = 'tool', params: object = {}): RpcRequest {
  return request(id, 'tools/call', { name, ...params, _meta: { ...envelope, progressToken: id } });
}

export const textsOf = ({ responses }: FakeCall): string[] => responses.map(({ bytes }) => bytes.toString());
export const reasonsOf = ({ failures }: FakeCall): unknown[] => failures.map(({ data }) => data?.['reason']);
