// My server says that something changed, and exactly the clients that are concerned hear of it.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const change = (id: number, args: object) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'change', arguments: args },
});
const announced = ['notifications/tools/list_changed', 'notifications/resources/updated', 'notifications/message'];

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('notifies'), lifetime: 'file' });
  });

  describe.each<SdkVersion>(['v1', 'v2'])('SDK client %s', (version) => {
    test.each([
      ['during a call', false],
      ['after it', true],
    ])('hears list_changed, resources/updated and log messages that come %s', async (_when, after) => {
      const client = await connectWith[version](exposed.url, exposed.token);
      await client.call('change', { label: 'mine', after });
      await Promise.all(announced.map((method) => client.nextNotification(method)));
      // Once each; two streams carry them, so their order among each other is open.
      expect(new Set(client.notifications().map(({ method }) => method))).toEqual(new Set(announced));
      expect(client.notifications()).toHaveLength(announced.length);
      expect((await client.nextNotification('notifications/message')).params).toMatchObject({ data: 'mine' });
    });

    test('does not hear what the server told another client', async () => {
      const [one, two] = await Promise.all([
        connectWith[version](exposed.url, exposed.token),
        connectWith[version](exposed.url, exposed.token),
      ]);
      await one.call('change', { label: 'for one' });
      await two.call('change', { label: 'for two' });
      await Promise.all([one, two].map((client) => client.nextNotification('notifications/message')));
      const heard = (client: typeof one) =>
        client.notifications().flatMap(({ method, params }) => (method.endsWith('message') ? [params] : []));
      expect(heard(one)).toMatchObject([{ data: 'for one' }]);
      expect(heard(two)).toMatchObject([{ data: 'for two' }]);
    });
  });

  test('each notification is sent once, on one stream', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    const call = await session.post(change(1, { label: 'x', after: true }));
    await call.ended;
    await general.next(({ method }) => method === 'notifications/message');
    const all = [...call.messages, ...general.messages].flatMap(({ method }) => method ?? []);
    expect(all.toSorted((a, b) => a.localeCompare(b))).toEqual(announced.toSorted((a, b) => a.localeCompare(b)));
    general.abort();
  });

  test('a GET stream starts at once and is marked against buffering', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    expect(general.status).toBe(200);
    expect(general.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(general.headers['cache-control']).toMatch(/no-cache|no-store|no-transform/);
    general.abort();
  });

  test('what happens before the GET stream is open is not lost', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const call = await session.post(change(1, { label: 'early', after: true }));
    await call.ended;
    await session.call(2, 'ping');
    const general = await session.listen();
    const message = await general.next(({ method }) => method === 'notifications/message');
    expect(message.params).toMatchObject({ data: 'early' });
    general.abort();
  });
});
