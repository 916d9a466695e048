// A request target in absolute-form is served, and its authority takes the place of the Host header (RFC 9112 §3.2.2).
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startGateway, token } from '../http/gateway.ts';
import { createSlow, openClient, places, startEdge } from './edge.ts';

const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
});

describe.each(places)('at the %s', (place) => {
  async function answerTo(target: (base: string, port: number) => string, ...hosts: string[]): Promise<string> {
    const { handler } = await startGateway('the tunnel');
    const { port, base } = await startEdge(place, handler);
    const lines = [
      `POST ${target(base, port)} HTTP/1.1`,
      ...hosts.map((host) => `Host: ${host}`),
      `Authorization: Bearer ${token}`,
      'Accept: application/json, text/event-stream',
      'Content-Type: application/json',
      `Content-Length: ${initialize.length}`,
      'Connection: close',
    ];
    return await openClient(port, `${lines.join('\r\n')}\r\n\r\n${initialize}`).closed;
  }

  test.each<[string, (base: string, port: number) => string, string]>([
    ['the same host', (base, port) => `http://127.0.0.1:${port}${base}/mcp`, '127.0.0.1'],
    ['a host of ours, whatever the Host header says', (base) => `http://localhost${base}/mcp`, 'evil.example'],
    ['capital letters', (base) => `HTTP://LOCALHOST${base}/mcp?x=/y`, 'localhost'],
    ['https, behind a proxy that terminates it', (base) => `https://[::1]${base}/mcp`, '[::1]'],
    ['an empty Host header', (base) => `http://localhost${base}/mcp`, ''],
  ])('%s: served', async (_what, target, host) => {
    const text = await answerTo(target, host);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(text).toMatch(/mcp-session-id/i);
  });

  test('a foreign authority is refused by name, although the Host header is one of ours', async () => {
    const text = await answerTo((base) => `http://evil.example${base}/mcp`, '127.0.0.1');
    expect(text).toMatch(/^HTTP\/1\.1 403/);
    expect(text).toContain('"host":"evil.example"');
  });

  test.each<[string, (base: string) => string, string[]]>([
    ['user information', (base) => `http://localhost@evil.example${base}/mcp`, ['localhost']],
    ['user information that looks like a host', (base) => `http://evil.example@localhost${base}/mcp`, ['localhost']],
    ['no authority', (base) => `http://${base}/mcp`.replace('///', '//?'), ['localhost']],
    ['a port that is none', (base) => `http://localhost:a${base}/mcp`, ['localhost']],
    ['another scheme', (base) => `ftp://localhost${base}/mcp`, ['localhost']],
    ['a path without a slash', () => 'mcp', ['localhost']],
    ['no Host header', (base) => `http://localhost${base}/mcp`, []],
    ['two Host headers', (base) => `http://localhost${base}/mcp`, ['localhost', 'localhost']],
    ['a Host header that is not valid', (base) => `http://localhost${base}/mcp`, ['local host']],
  ])('%s: 400', async (_what, target, hosts) => {
    expect(await answerTo(target, ...hosts)).toMatch(/^HTTP\/1\.1 400/);
  });

  test('path and query arrive as they are, an empty path as a slash', async () => {
    const { handler, executed, release } = createSlow();
    release();
    const { port, base } = await startEdge(place, handler);
    const ask = (rest: string): string => `GET http://localhost${base}${rest} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    openClient(port, ask('/a//b?c=http://d/?e') + ask('?f'));
    await eventually(() => expect(executed).toEqual(['GET /a//b?c=http://d/?e', 'GET /?f']));
  });
});
