// A body that ends before its last chunk, or before its length, is incomplete (RFC 9112 §8): nothing of it is carried out.
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startGateway, token } from '../http/gateway.ts';
import { head, openClient, places, startEdge } from './edge.ts';

const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
});
const chunk = `${initialize.length.toString(16)}\r\n${initialize}\r\n`;

describe.each(places)('at the %s', (place) => {
  test.each<[string, string[], string, 'end' | 'reset']>([
    ['a chunked one, and the client closes', ['Transfer-Encoding: chunked'], chunk, 'end'],
    ['a chunked one, and the client resets', ['Transfer-Encoding: chunked'], chunk, 'reset'],
    ['a last chunk without its last line', ['Transfer-Encoding: chunked'], `${chunk}0\r\n`, 'end'],
    ['a chunk that is none behind all of it', ['Transfer-Encoding: chunked'], `${chunk}zz\r\n`, 'end'],
    ['with a length, and the client closes', [`Content-Length: ${initialize.length + 1}`], initialize, 'end'],
    ['with an upgrade', ['Transfer-Encoding: chunked', 'Connection: upgrade', 'Upgrade: h2c'], chunk, 'end'],
  ])('%s', async (_what, headers, body, end) => {
    const { handler, upstreams } = await startGateway('the tunnel');
    let began = 0;
    let closed = 0;
    const { port, base } = await startEdge(place, (request, response) => {
      began += 1;
      response.on('close', () => (closed += 1));
      handler(request, response);
    });
    const client = openClient(
      port,
      head(
        `POST ${base}/mcp`,
        `Authorization: Bearer ${token}`,
        'Accept: application/json, text/event-stream',
        'Content-Type: application/json',
        ...headers,
      ) + body,
    );
    await eventually(() => expect(began).toBe(1));
    if (end === 'end') client.socket.end();
    else client.socket.resetAndDestroy();
    await eventually(() => expect(closed).toBe(1));
    // What would be carried out would have started a server by now.
    await new Promise(setImmediate);
    expect(upstreams).toHaveLength(0);
    expect(client.text()).not.toContain('200 OK');
  });
});
