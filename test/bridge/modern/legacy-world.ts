// One legacy client of a modern server in memory: the channel of its session, and the face between the two.
import { expect } from 'vitest';
import { LegacyFace } from '../../../src/bridge/modern/legacy-face.ts';
import { Channel } from '../../../src/bridge/session/channel.ts';
import type { RpcMessage, RpcNotification, RpcResponse } from '../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { message, notification, request, response } from '../messages.ts';
import { createFakeCall, createFakeSink, type FakeCall, type FakeSink } from '../session/fake-sink.ts';

export const metaKey = (name: string): string => `io.modelcontextprotocol/${name}`;

export interface Sent {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly error?: { readonly code: number };
}

export interface World {
  readonly server: FakeUpstream;
  readonly clock: FakeClock;
  readonly channel: Channel;
  /** What goes to the client beside its calls. */
  readonly standalone: FakeSink;
  readonly warnings: string[];
  /** What the server was sent since the last look, in order. */
  readonly toServer: () => Sent[];
  readonly call: (id: string | number, method?: string, params?: object) => FakeCall;
  readonly say: (said: RpcMessage, origin?: string | number) => void;
  /** The server answers its request with this result. */
  readonly answer: (to: Sent, result: object) => void;
  /** Sends a notification or the response to a server request. */
  readonly forward: (sent: RpcNotification | RpcResponse) => void;
}

const allCapabilities = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
};

export const clientCapabilities = { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } };

/** A session that has been opened, and whose server has acknowledged its subscription. */
export async function openWorld(
  capabilities: object = allCapabilities,
  declared: object = clientCapabilities,
): Promise<World> {
  const world = newWorld();
  const opening = world.call(0, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: { ...declared, tasks: {} },
    clientInfo: { name: 'c', version: '1' },
  });
  const [discover] = world.toServer();
  expect(discover?.method).toBe('server/discover');
  world.answer(discover ?? {}, {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities,
    _meta: { [metaKey('serverInfo')]: { name: 's', version: '2' } },
  });
  expect(opening.responses).toHaveLength(1);
  world.forward(notification('notifications/initialized'));
  acknowledge(world);
  return world;
}

export function newWorld(): World {
  const server = createFakeUpstream();
  const clock = createFakeClock();
  const standalone = createFakeSink();
  const warnings: string[] = [];
  const face = new LegacyFace(server, { clock, onWarning: (warning) => warnings.push(warning) });
  const channel = new Channel({ upstream: face, standalone, onClose() {} });
  channel.start();
  return {
    server,
    clock,
    channel,
    standalone,
    warnings,
    toServer: () => server.sent.splice(0).map((line): Sent => JSON.parse(line)),
    call(id, method = 'tools/call', params = { name: 't' }) {
      const call = createFakeCall();
      expect(channel.request(request(id, method, params), call)).toBeUndefined();
      return call;
    },
    say: (said, origin) => server.say(said, origin),
    answer: ({ id = 'none' }, result) => server.say(response(id, result)),
    forward: (sent) => void channel.forward(sent),
  };
}

/** The server acknowledges the subscription that it was asked for last. @returns that request. */
export function acknowledge(world: World, given?: object): Sent {
  const listen = world.toServer().findLast(({ method }) => method === 'subscriptions/listen');
  if (listen === undefined) return {};
  const notifications = given ?? listen.params?.['notifications'];
  world.say(onSubscription(listen, 'notifications/subscriptions/acknowledged', { notifications }));
  return listen;
}

export function onSubscription({ id }: Sent, method: string, params: object = {}): RpcMessage {
  return message({ method, params: { ...params, _meta: { [metaKey('subscriptionId')]: id } } });
}

/** The results that a call got, and its failures. */
export function outcomeOf(call: FakeCall): unknown[] {
  return [...call.responses.map(({ json }) => json['result'] ?? json['error']), ...call.failures];
}
