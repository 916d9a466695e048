// A network that breaks costs nothing: the call goes on, and its client gets everything once it is back.
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { exchange, openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { startTcpProxy } from '../harness/tcp-proxy.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2'];

/** The server takes 5 ms for each step: long enough for a client to come back before it is done. */
const steps = 800;

describe('a long call', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('progress'), args: ['--tunnel', 'none'], lifetime: 'file' });
  });

  test.each(sdkVersions)(
    'SDK client %s: whose connections are cut gets every step once, and the answer',
    async (version) => {
      const proxy = await startTcpProxy(exposed.url);
      const client = await connectWith[version](proxy.through(exposed.url), exposed.token);
      const seen: number[] = [];
      const answer = await client.call(
        'count',
        { n: steps, label: 'cut' },
        {
          onprogress({ progress }) {
            if (seen.push(progress) === 50) proxy.cut();
          },
        },
      );
      expect(answer).toBe(`cut counted to ${steps}`);
      expect(seen).toEqual(Array.from({ length: steps }, (_, at) => at + 1));
      expect(proxy.count()).toBeGreaterThan(2);
    },
  );

  test('is replayed from the event that a client names, on its own stream alone', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const call = await session.post({
      jsonrpc: '2.0',
      id: 'a',
      method: 'tools/call',
      params: { name: 'count', arguments: { n: 40 }, _meta: { progressToken: 'token' } },
    });
    await call.next(({ params }) => params?.['progress'] === 3);
    call.abort();
    const resumed = await exchange(exposed.url, { headers: [...session.headers, ['Last-Event-ID', '1-3']] });
    const messages = await resumed.ended;
    expect(messages.map(({ params, id }) => params?.['progress'] ?? id)).toEqual([
      ...Array.from({ length: 37 }, (_, at) => at + 4),
      'a',
    ]);
    const nothing = await exchange(exposed.url, { headers: [...session.headers, ['Last-Event-ID', '1-41']] });
    expect(nothing.status).toBe(405);
    const stranger = await openSession(exposed.url, exposed.token);
    const refused = await exchange(exposed.url, { headers: [...stranger.headers, ['Last-Event-ID', '1-3']] });
    expect(refused.status).toBe(400);
  });
});

test.each(sdkVersions)('SDK client %s: a user who is asked while the network breaks is asked once', async (version) => {
  const exposed = await startExpose({ server: fixture('asks'), args: ['--tunnel', 'none'] });
  const proxy = await startTcpProxy(exposed.url);
  let asked = 0;
  const client = await connectWith[version](proxy.through(exposed.url), exposed.token, {
    async elicit() {
      asked++;
      const before = proxy.count();
      proxy.cut();
      // The streams are there again before the user has answered.
      await eventually(() => expect(proxy.count()).toBeGreaterThanOrEqual(before + 2), 10_000);
      return { name: 'Ada' };
    },
  });
  expect(await client.call('ask-elicitation')).toContain('Ada');
  expect(asked).toBe(1);
});
