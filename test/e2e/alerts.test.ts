// My terminal tells me, in words that I can act on, when something about the use of my server is unusual.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { send, type RawReply } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

type Alert = Record<string, unknown>;

const alertsOf = (exposed: Exposed): Alert[] => exposed.events().filter(({ event }) => event === 'alert');

function initialize(
  { url, token }: Exposed,
  { from, name = 'app' }: { from?: string; name?: string } = {},
): Promise<RawReply> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name, version: '1' } };
  return send(url, {
    method: 'POST',
    headers: clientHeaders(token),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
    ...(from === undefined ? {} : { from }),
  });
}

const command = (name: string): string => `if you do not expect that: mcp-expose token revoke ${name}`;

describe.each(ways)('%s, a token that is used', (way) => {
  test('from a second address, or by a second client, is reported', async () => {
    const file = path.join(temporaryDirectory('test'), 'audit.jsonl');
    const args = ['--token-name', 'anna', '--audit', file];
    const exposed = await exposeBy(way, { server: fixture('echo'), args });
    await initialize(exposed, { from: '127.0.0.2' });
    await initialize(exposed, { from: '127.0.0.2' });
    await initialize(exposed, { from: '127.0.0.3' });
    await exposed.waitForStderr(/alert/);
    await initialize(exposed, { from: '127.0.0.2', name: 'other' });
    await initialize(exposed, { from: '127.0.0.4', name: 'third' });
    await exposed.waitForStderr(/new client/);
    await exposed.stop('SIGTERM');
    const alerts = [
      { event: 'alert', kind: 'new_address', caller: 'anna', client: '127.0.0.3' },
      { event: 'alert', kind: 'new_client', caller: 'anna', clientInfo: { name: 'other', version: '1' } },
    ];
    expect(alertsOf(exposed)).toEqual(alerts);
    const lines = exposed.stderr().match(/^.*alert.*$/gm);
    expect(lines).toEqual([
      `mcp-expose: alert: anna was used from a new address, 127.0.0.3; ${command('anna')}`,
      `mcp-expose: alert: anna was used by a new client, "other"; ${command('anna')}`,
    ]);
    const audited = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"alert"'));
    const withoutTime = audited.map((line) => ({ ...parseJson<Alert>(line), time: undefined }));
    expect(withoutTime).toEqual(alerts.map((alert) => ({ ...alert, time: undefined })));
    const shown = startProgram(['audit', file], { mark: randomUUID() });
    await shown.exited;
    expect(shown.stdout()).toMatch(/Z {2}anna {2}alert new_address 127\.0\.0\.3\n/);
    expect(shown.stdout()).toMatch(/Z {2}anna {2}alert new_client other\n/);
  });
});

test('where no address is known, only the client can be new', async () => {
  const args = ['--domain', 'mcp.example.com'];
  const exposed = await startExpose({ server: fixture('echo'), args });
  await initialize(exposed, { from: '127.0.0.2' });
  await initialize(exposed, { from: '127.0.0.3' });
  await initialize(exposed, { from: '127.0.0.4', name: 'other' });
  await exposed.waitForStderr(/new client/);
  expect(alertsOf(exposed).map(({ kind }) => kind)).toEqual(['new_client']);
});

test('a burst of requests is reported, and without a token too', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--no-auth'] });
  const session = await openSession(exposed.url, '');
  const calls = Array.from({ length: 301 }, (_, at) => session.call(`ping ${at}`, 'ping'));
  await exposed.waitForStderr(/alert: anonymous made more than 300 requests within a minute; --rate-limit limits them/);
  await Promise.all(calls);
  expect(alertsOf(exposed)).toEqual([{ event: 'alert', kind: 'burst', caller: 'anonymous', count: 300 }]);
});

test('a caller that --rate-limit stops is reported', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--rate-limit', '1'] });
  await Promise.all(Array.from({ length: 8 }, () => initialize(exposed)));
  await exposed.waitForStderr(/alert: default makes more requests than --rate-limit allows/);
  const alert = { event: 'alert', kind: 'rate_limited', caller: 'default', client: '127.0.0.1' };
  expect(alertsOf(exposed)).toEqual([alert]);
});

test.each(['v2', 'v1 over HTTP+SSE'] as const)(
  'repeated refusals are reported (%s), and --quiet keeps them from the screen',
  async (way) => {
    const args = ['--deny-tool', 'hid*', '--quiet'];
    const exposed = await startExpose({ server: fixture('fails-as-told'), args });
    const client = await connectWith[way](exposed.url, exposed.token);
    for (let count = 0; count < 5; count++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await client.call('hidden', {}).catch(() => {});
    }
    await exposed.waitForStdout(/"alert"/);
    const reason = { tool: 'hidden', reason: 'not_allowed' };
    expect(alertsOf(exposed)).toEqual([{ event: 'alert', kind: 'refusals', count: 5, caller: 'default', ...reason }]);
    expect(exposed.stderr()).not.toContain('alert');
    await client.close();
  },
);

test('without a token, repeated refusals are reported without advice about one', async () => {
  const args = ['--no-auth', '--deny-tool', 'hid*'];
  const exposed = await startExpose({ server: fixture('fails-as-told'), args });
  const session = await openSession(exposed.url, '');
  await Promise.all([1, 2, 3, 4, 5].map((id) => session.call(id, 'tools/call', { name: 'hidden', arguments: {} })));
  await exposed.waitForStderr(/alert: rules refused 5 calls within a minute, the last of "hidden" \(not_allowed\)\n/);
  expect(exposed.stderr()).not.toContain('token revoke');
});

test('calls that are refused since they can be read differently are reported with --approve alone', async () => {
  const args = ['--approve', 'all', '--approve-command', process.execPath];
  const exposed = await startExpose({ server: fixture('flips-hint'), args });
  const session = await openSession(exposed.url, exposed.token);
  const params = '{"name":"change","arguments":{"a":1,"a":2}}';
  await Promise.all(
    [1, 2, 3, 4, 5].map((id) => session.post(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`)),
  );
  await exposed.waitForStderr(/alert/);
  expect(exposed.stderr()).toMatch(/default was refused 5 calls .* the last of "change" \(ambiguous_request\)/);
});

test.each(['--read-only', '--read-only --isolation shared', '--approve destructive'])(
  'tools that change while a rule applies to them are reported (%s)',
  async (options) => {
    const exposed = await startExpose({ server: fixture('flips-hint'), args: options.split(' ') });
    const session = await openSession(exposed.url, exposed.token);
    const list = async (id: string): Promise<void> => {
      const first = await session.call(`${id} 1`, 'tools/list');
      await session.call(`${id} 2`, 'tools/list', { cursor: first.result?.['nextCursor'] });
    };
    await list('before');
    await list('again');
    await session.call('flip', 'tools/call', { name: 'flip' });
    await list('after');
    await exposed.waitForStderr(
      /alert: the tools of the server changed during a session: changed "look"; check that the rules still fit/,
    );
    const change = { added: [], removed: [], changed: ['look'] };
    expect(alertsOf(exposed)).toEqual([{ event: 'alert', kind: 'tools_changed', ...change }]);
  },
);
