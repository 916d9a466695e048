// Each kind of server, in front of each kind of client: three calls, and a question of the server.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { startHttpFixture } from '../harness/http-fixture.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { connectV1, connectV2, connectWith, progressOf, type SdkClient } from '../harness/sdk-clients.ts';

const lifetime = 'file';
const onHttp = async (kind: 'http' | 'sse', name: string, ...args: string[]): Promise<Exposed> => {
  const urls = await startHttpFixture(name, { args, lifetime });
  return startExpose({ running: { kind, url: urls[kind] }, lifetime });
};

interface Server {
  start: () => Promise<Exposed>;
  /** In which era it is spoken to, for a legacy and for a modern client. */
  era: readonly ['legacy' | 'modern', 'legacy' | 'modern'];
}

const servers: Record<string, Server> = {
  'legacy, stdio': {
    start: () => startExpose({ server: fixture('legacy-only'), lifetime }),
    era: ['legacy', 'legacy'],
  },
  'legacy, HTTP+SSE': { start: () => onHttp('sse', 'legacy-http'), era: ['legacy', 'legacy'] },
  'legacy, Streamable HTTP': { start: () => onHttp('http', 'legacy-http'), era: ['legacy', 'legacy'] },
  'modern, stdio': {
    start: () => startExpose({ server: fixture('modern-only'), lifetime }),
    era: ['modern', 'modern'],
  },
  'modern, HTTP': { start: () => onHttp('http', 'modern-http', 'reject'), era: ['modern', 'modern'] },
  'both, stdio': { start: () => startExpose({ server: fixture('dual-era'), lifetime }), era: ['legacy', 'modern'] },
  'both, HTTP': { start: () => onHttp('http', 'modern-http', 'stateless'), era: ['modern', 'modern'] },
};

const elicit = (message: string) => ({ name: `told ${message}` });

const clients: Record<string, { era: 0 | 1; connect: (exposed: Exposed) => Promise<SdkClient> }> = {
  'SDK v1': { era: 0, connect: ({ url, token }) => connectV1(url, token, { elicit }) },
  'SDK v1 over HTTP+SSE': {
    era: 0,
    connect: ({ url, token }) => connectWith['v1 over HTTP+SSE'](url, token, { elicit }),
  },
  'SDK v2, legacy': { era: 0, connect: ({ url, token }) => connectV2(url, token, { elicit, era: 'legacy' }) },
  'SDK v2, auto': { era: 1, connect: ({ url, token }) => connectV2(url, token, { elicit, era: 'auto' }) },
  'SDK v2, pinned to 2026-07-28': {
    era: 1,
    connect: ({ url, token }) => connectV2(url, token, { elicit, era: 'modern' }),
  },
};

describe.each(Object.entries(servers))('a server: %s', (_server, { start, era: eras }) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await start();
  });

  test.each(Object.entries(clients))('a client: %s', async (_client, { era, connect }) => {
    const client = await connect(exposed);
    expect(client.era()).toBe(era === 0 ? 'legacy' : 'modern');
    expect(await client.call('era')).toBe(eras[era]);
    expect(await client.call('echo', { text: 'grüße 🦊' })).toBe('grüße 🦊');
    expect(await progressOf(client)).toEqual([1, 2, 3]);
    expect(parseJson(await client.call('ask'))).toMatchObject({ content: { name: 'told What is your name?' } });
  });
});
