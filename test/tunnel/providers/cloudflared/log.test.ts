import { expect, test } from 'vitest';
import { readCloudflaredLine } from '../../../../src/tunnel/providers/cloudflared/log.ts';

const port = 43210;
const read = (line: string): unknown => readCloudflaredLine(line, port);
const text = (message: string, level = 'INF'): string => `2026-08-20T10:54:27Z ${level} ${message}`;
const json = (message: string, fields: object = {}): string =>
  JSON.stringify({ level: 'info', time: '2026-08-20T10:54:27Z', message, ...fields });

const forms: [string, (message: string) => string][] = [
  ['text', text],
  ['JSON', json],
];

test.each(forms)('as %s: the row of the box with the URL', (_form, line) => {
  expect(read(line('|  https://calm-river-9.trycloudflare.com                                        |'))).toEqual({
    kind: 'urls',
    urls: ['https://calm-river-9.trycloudflare.com'],
  });
});

test.each(forms)('as %s: connected, and where its metrics are', (_form, line) => {
  expect(read(line('Registered tunnel connection connIndex=0 connection=x event=0 protocol=quic'))).toEqual({
    kind: 'ready',
  });
  expect(read(line('Starting metrics server on 127.0.0.1:20241/metrics'))).toEqual({
    kind: 'metrics',
    address: '127.0.0.1:20241',
  });
});

test.each([
  ['its own API in a table of checks', '|  Cloudflare API  https://api.trycloudflare.com  PASS  Reachable  |'],
  ['its own API in a row', '|  https://api.trycloudflare.com  |'],
  ['a name in a sentence', 'see https://calm-river-9.trycloudflare.com |'],
  ['two names in a row', '|  https://a.trycloudflare.com  https://b.trycloudflare.com  |'],
  ['another domain', '|  https://trycloudflare.com.evil.example  |'],
  ['no encryption', '|  http://calm-river-9.trycloudflare.com  |'],
  ['border', '+--------------------------------+'],
])('no URL: %s', (_what, message) => {
  expect(read(text(message))).toBeUndefined();
  expect(read(json(message))).toBeUndefined();
});

test('what a stranger has sent, in the fields of a line, says nothing', () => {
  const said = '|  https://evil.trycloudflare.com  |';
  const fields = `error="Unable to reach the origin service: EOF" dest=https://calm-river-9.trycloudflare.com/${said}`;
  expect(read(text(` ${fields}`, 'ERR'))).toBeUndefined();
  expect(read(text(' error="unauthorized: Provided tunnel token is not valid" type=http', 'ERR'))).toBeUndefined();
  expect(read(text(' error="failed to request quick Tunnel: 429" type=http', 'ERR'))).toBeUndefined();
  expect(read(json('', { error: 'Registered tunnel connection', dest: said }))).toBeUndefined();
});

test.each([
  'Failed to fetch features, default to disable error="no such host"',
  'Configuration file /tmp/x was empty',
  'Serve tunnel error error="context canceled" connIndex=0',
  'Connection terminated error="already connected to this server, trying another address"',
])('an error that it goes on after: %s', (message) => {
  expect(read(text(message, 'ERR'))).toBeUndefined();
});

test.each([
  text('Failed to dial a quic connection error="failed to dial to edge with quic: timeout" connIndex=0', 'ERR'),
  json('Failed to dial a quic connection', { error: 'failed to dial to edge with quic: timeout' }),
  text('Failed to create new quic connection error="failed to dial to edge: timeout"', 'ERR'),
])('QUIC does not get through: %s', (line) => {
  expect(read(line)).toEqual({ kind: 'no quic' });
});

test.each([
  'Incorrect Usage. flag provided but not defined: -output',
  'Incorrect Usage: flag provided but not defined: -p',
])('a flag that is not known: %s', (line) => {
  expect(read(line)).toEqual({ kind: 'unknown flag' });
});

test.each([
  text('Register tunnel error from server side error="Unauthorized: Invalid tunnel secret" connIndex=0', 'ERR'),
  json('Register tunnel error from server side', { error: 'Unauthorized: Failed to get tunnel' }),
])('Cloudflare does not know the tunnel: %s', (line) => {
  expect(read(line)).toMatchObject({ kind: 'unauthorized', error: { code: 'tunnel_rejected' } });
});

test('a token that is none', () => {
  expect(read('Provided Tunnel token is not valid.')).toMatchObject({
    kind: 'failure',
    error: { code: 'tunnel_rejected', hints: [expect.stringContaining('TUNNEL_TOKEN')] },
  });
});

test.each([
  text(
    'Error unmarshaling QuickTunnel response: error code: 1015 error="x" status_code="429 Too Many Requests"',
    'ERR',
  ),
  json('Error unmarshaling QuickTunnel response: oops', { status_code: '429 Too Many Requests' }),
])('no more quick tunnels: %s', (line) => {
  expect(read(line)).toMatchObject({
    kind: 'failure',
    error: { code: 'tunnel_unavailable', message: expect.stringContaining('no more quick tunnels at the moment') },
  });
});

test.each([
  'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: no such host',
  'failed to parse quick Tunnel ID: invalid UUID length: 0',
  'failed to read quick-tunnel response: unexpected EOF',
  json('Error unmarshaling QuickTunnel response: <html>', { status_code: '500 Internal Server Error' }),
])('no quick tunnel: %s', (line) => {
  expect(read(line)).toMatchObject({
    kind: 'failure',
    error: { code: 'tunnel_unavailable', message: expect.stringContaining('Cloudflare gave no quick tunnel') },
  });
});

const rules = (ingress: unknown): string => JSON.stringify({ ingress, 'warp-routing': { enabled: false } });
const asText = (config: string): string =>
  text(`Updated to new configuration config=${JSON.stringify(config)} version=1`);
const asJson = (config: string): string => json('Updated to new configuration', { config, version: 1 });

test.each([
  ['text', asText],
  ['JSON', asJson],
])('rules as %s: the host that leads here, else the first', (_form, line) => {
  const elsewhere = { hostname: 'a.example.com', service: 'http://localhost:1' };
  const here = { hostname: 'b.example.com', service: `http://localhost:${port}` };
  const rest = { service: 'http_status:404' };
  const urlIn = (ingress: unknown): unknown => read(line(rules(ingress)));
  expect(urlIn([elsewhere, here, rest])).toEqual({ kind: 'urls', urls: ['https://b.example.com'] });
  expect(urlIn([elsewhere, rest])).toEqual({ kind: 'urls', urls: ['https://a.example.com'] });
  const far = { hostname: 'c.example.com', service: `http://10.0.0.1:${port}` };
  expect(urlIn([elsewhere, far])).toEqual({ kind: 'urls', urls: ['https://a.example.com'] });
  expect(urlIn([{ ...here, hostname: '*.example.com' }, rest])).toBeUndefined();
  expect(urlIn([rest, null, 'x'])).toBeUndefined();
  expect(urlIn('x')).toBeUndefined();
});

test('rules that cannot be read are none', () => {
  expect(read(asText('{'))).toBeUndefined();
  expect(read(json('Updated to new configuration', { config: 7 }))).toBeUndefined();
  expect(read(text('Updated to new configuration'))).toBeUndefined();
});

test.each(['', '{', '[]', 'null', '{"message":{}}'])('a line that says nothing: %j', (line) => {
  expect(read(line)).toBeUndefined();
});
