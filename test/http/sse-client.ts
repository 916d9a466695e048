// Clients of the older transport (MCP 2024-11-05, "HTTP with SSE").
import { expect } from 'vitest';
import type { FakeUpstream } from '../bridge/fake-upstream.ts';
import { initialize } from '../bridge/messages.ts';
import { startGateway, token, type Gateway, type GatewayOptions } from './gateway.ts';
import { readUntil, type Answer, type Headers, type Protocol } from './web.ts';

export const credential = { authorization: `Bearer ${token}` };

export interface OldClient {
  readonly gateway: Gateway;
  readonly stream: Answer['stream'];
  readonly path: string;
  readonly hangUp: () => void;
  readonly send: (message: object | string, headers?: Headers) => Promise<Answer>;
  /** Waits for a message on the stream that holds this text, and returns what came up to there. */
  readonly next: (text: string) => Promise<string>;
}

export async function join(gateway: Gateway, path = '/sse', headers: Headers = {}): Promise<OldClient> {
  const answer = await gateway.web.ask({ path, headers: { ...credential, accept: 'text/event-stream', ...headers } });
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
  const { stream, hangUp } = answer;
  const begin = await readUntil(stream, '\n\n');
  const reference = /^event: endpoint\ndata: (\S*messages\?sessionId=[A-Za-z0-9_-]{22})\n\n/.exec(begin)?.[1] ?? begin;
  const { pathname, search } = new URL(reference, `http://h${path}`);
  const messages = `${pathname}${search}`;
  return {
    gateway,
    stream,
    path: messages,
    hangUp,
    send: (message, more = {}) => gateway.post(message, more, { path: messages }),
    next: (text) => readUntil(stream, text),
  };
}

export async function oldClient(protocol: Protocol, options?: GatewayOptions): Promise<OldClient> {
  return join(await startGateway(protocol, options));
}

export async function open(client: OldClient): Promise<FakeUpstream> {
  const answered = client.next('"serverInfo"');
  expect((await client.send(initialize.json)).status).toBe(202);
  await answered;
  const upstream = client.gateway.upstreams.at(-1);
  if (upstream === undefined) throw new Error('no server was started');
  return upstream;
}
