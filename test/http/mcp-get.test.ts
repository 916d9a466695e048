import { describe, expect, test } from 'vitest';
import { notification } from '../bridge/messages.ts';
import { clientHeaders, startGateway, verdict } from './gateway.ts';
import { protocols, readUntil } from './web.ts';

describe.each(protocols)('over %s', (protocol) => {
  describe('the GET stream', () => {
    test('carries what belongs to no call, what came before too, until the session ends', async () => {
      const { web, get, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      upstream.say(notification('notifications/tools/list_changed'));
      const { status, headers: head, stream } = await get(headers);
      expect([status, head['content-type']]).toEqual([200, 'text/event-stream']);
      await readUntil(stream, 'tools/list_changed');
      upstream.say(notification('notifications/resources/updated', { uri: 'x' }));
      await readUntil(stream, 'resources/updated');
      const ended = new Promise((resolve) => {
        stream.once('end', resolve);
      });
      stream.resume();
      await web.ask({ method: 'DELETE', headers: { ...clientHeaders, ...headers } });
      await ended;
    });

    test.each(['application/json', 'text/html', 'text/event-stream;q=0'])(
      'needs an Accept that admits it, not %j: 406',
      async (accept) => {
        const { get, openSession } = await startGateway(protocol);
        const { headers } = await openSession();
        expect(await verdict(await get({ ...headers, accept }))).toEqual([406, -32000, null]);
      },
    );

    test('needs a session: 400 without, 404 with an unknown one', async () => {
      const { get } = await startGateway(protocol);
      expect(await verdict(await get())).toEqual([400, -32000, null]);
      expect(await verdict(await get({ 'mcp-session-id': 'x'.repeat(22) }))).toEqual([404, -32001, null]);
    });
  });
});
