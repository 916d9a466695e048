// One channel between a server in memory and a client in memory.
import { expect } from 'vitest';
import { createChannel, type Channel } from '../../src/bridge/channel.ts';
import type { UpstreamEnd } from '../../src/bridge/upstream/upstream.ts';
import type { RequestId } from '../../src/mcp/json-rpc.ts';
import { createFakeCall, createFakeOutlet, type FakeCall, type FakeOutlet } from './fake-outlet.ts';
import { createFakeUpstream, type FakeUpstream } from './fake-upstream.ts';
import { request, watchedRequest } from './messages.ts';

export interface World {
  readonly upstream: FakeUpstream;
  readonly general: FakeOutlet;
  readonly channel: Channel;
  readonly ends: UpstreamEnd[];
  /** Sends a request and returns its call. */
  readonly call: (id: RequestId, progressToken?: RequestId) => FakeCall;
}

export function world(): World {
  const upstream = createFakeUpstream();
  const general = createFakeOutlet();
  const ends: UpstreamEnd[] = [];
  const channel = createChannel({ upstream, general, onClose: (end) => ends.push(end) });
  channel.start();
  const call = (id: RequestId, progressToken?: RequestId): FakeCall => {
    const fake = createFakeCall();
    const sent = progressToken === undefined ? request(id) : watchedRequest(id, progressToken);
    expect(channel.request(sent, fake)).toBeUndefined();
    return fake;
  };
  return { upstream, general, channel, ends, call };
}
