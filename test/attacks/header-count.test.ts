// Headers beyond those that node:http shows would decide nothing, an Origin among them: such a request is refused.
import { describe, expect, test } from 'vitest';
import { startGateway, token } from '../http/gateway.ts';
import { head, openClient, places, startEdge } from './edge.ts';

const credential = `Authorization: Bearer ${token}`;
const filler = (count: number): string[] => Array.from({ length: count }, (_, index) => `X${index % 10}:`);

describe.each(places)('at the %s', (place) => {
  async function answerTo(headers: string[], path = '/mcp'): Promise<string> {
    const { handler } = await startGateway('the tunnel');
    const { port, base } = await startEdge(place, handler);
    return await openClient(port, head(`GET ${base}${path}`, 'Connection: close', ...headers)).closed;
  }

  test('a thousand are served', async () => {
    // Host and Connection are two.
    const text = await answerTo([...filler(996), credential, 'Origin: https://evil.example']);
    expect(text).toMatch(/^HTTP\/1\.1 403/);
    expect(text).toContain('"origin":"https://evil.example"');
  });

  test.each([
    ['a foreign Origin in the last place', [credential, ...filler(997), 'Origin: https://evil.example']],
    ['of one name', [credential, ...Array.from({ length: 998 }, () => 'X: y')]],
    ['many more', filler(3000)],
    ['the credential in the last place', [...filler(998), credential]],
  ])('one more, %s: 431', async (_what, headers) => {
    const text = await answerTo(headers);
    expect(text).toMatch(/^HTTP\/1\.1 431/);
    expect(text).toContain('the request has more than 1000 headers');
  });

  test('with an upgrade, and where everybody is answered: 431', async () => {
    const upgrade = ['Connection: upgrade', 'Upgrade: websocket'];
    expect(await answerTo([...upgrade, ...filler(998)], '/healthz')).toMatch(/^HTTP\/1\.1 431/);
  });

  test.each([
    ['Origin', ['Origin: http://localhost', 'Origin: https://evil.example']],
    ['Origin, ours in the second place', ['Origin: https://evil.example', 'Origin: http://localhost']],
    ['Host', ['Host: localhost']],
    ['Authorization', [credential]],
    ['Content-Type', ['Content-Type: application/json', 'Content-Type: text/plain']],
  ])('%s twice is refused', async (_what, headers) => {
    expect(await answerTo([credential, ...headers])).toMatch(/^HTTP\/1\.1 400/);
  });
});
