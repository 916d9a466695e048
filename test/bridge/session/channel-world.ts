// One channel between a server in memory and a client in memory.
import { expect } from 'vitest';
import { Channel } from '../../../src/bridge/session/channel.ts';
import type { UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { createFakeCall, createFakeSink, type FakeCall, type FakeSink } from './fake-sink.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { request, watchedRequest } from '../messages.ts';

export interface World {
  readonly upstream: FakeUpstream;
  readonly standalone: FakeSink;
  readonly channel: Channel;
  readonly ends: UpstreamEnd[];
  /** Sends a request and returns its call. */
  readonly call: (id: RequestId, progressToken?: RequestId) => FakeCall;
}

export function world(): World {
  const upstream = createFakeUpstream();
  const standalone = createFakeSink();
  const ends: UpstreamEnd[] = [];
  const channel = new Channel({ upstream, standalone, onClose: (end) => ends.push(end) });
  channel.start();
  const call = (id: RequestId, progressToken?: RequestId): FakeCall => {
    const fake = createFakeCall();
    const sent = progressToken === undefined ? request(id) : watchedRequest(id, progressToken);
    expect(channel.request(sent, fake)).toBeUndefined();
    return fake;
  };
  return { upstream, standalone, channel, ends, call };
}
