// What becomes of others when a token ends, over both transports, and of a token's own state when the process restarts.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { within } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { openRequest, send } from '../harness/raw-http.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const server = fixture('echo');

async function token(exposed: Pick<Exposed, 'home'>, ...args: string[]): Promise<string> {
  const run = startProgram(['token', ...args], { mark: randomUUID(), home: exposed.home });
  if ((await run.exited) !== 0) throw new Error(run.stderr());
  return run.stdout().trim();
}

const echo = (session: RawSession) => session.call(7, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });

async function refusal(url: string, secret: string, client = 'raw-mcp') {
  const body = initializeRequest().replace('"raw-mcp"', JSON.stringify(client));
  const reply = await exchange(url, { method: 'POST', headers: clientHeaders(secret), body });
  const [message] = await reply.ended;
  return { status: reply.status, data: message?.error?.data };
}

/** An open stream of HTTP+SSE. */
async function openSse({ url }: Exposed, secret: string) {
  const response = await openRequest(url.replace(/\/mcp$/, '/sse'), { headers: clientHeaders(secret) });
  if (response.statusCode !== 200) throw new Error(`/sse was answered with ${response.statusCode}`);
  response.resume();
  response.on('error', () => {});
  return { response, ended: once(response, 'close') };
}

describe.each(['session', 'shared'] as const)('--isolation %s', (isolation) => {
  test.each(['revoke', 'rotate'])(
    '%s: the streams of the token end, over both transports; others stay',
    async (end) => {
      const exposed = await startExpose({ server, args: ['--isolation', isolation] });
      const [anna, ben] = [await token(exposed, 'add', 'anna'), await token(exposed, 'add', 'ben')];
      const sse = await Promise.all([openSse(exposed, anna), openSse(exposed, ben)]);
      const sessions = await Promise.all([openSession(exposed.url, anna), openSession(exposed.url, ben)]);
      const [stream, other] = await Promise.all(sessions.map((session) => session.listen()));
      await token(exposed, end, 'anna');
      await within(10_000, 'the end of the stream of HTTP+SSE', sse[0].ended);
      await within(10_000, 'the end of the GET stream', Promise.resolve(stream?.ended));
      expect(await refusal(exposed.url, anna)).toEqual({ status: 401, data: { reason: 'token_revoked' } });
      const messages = exposed.url.replace(/\/mcp$/, '/messages');
      expect((await send(messages, { method: 'POST', headers: clientHeaders(anna), body: '{}' })).status).toBe(401);
      // The same session, and streams that are still open.
      expect(textOf(await echo(sessions[1]))).toBe('hello');
      expect([sse[1].response.closed, other?.status]).toEqual([false, 200]);
      sse[1].response.destroy();
    },
  );
});

test('--expires: the stream of HTTP+SSE ends, too', async () => {
  // It counts from the start, which can take seconds.
  const exposed = await startExpose({ server, args: ['--expires', '8s'] });
  const { ended } = await openSse(exposed, exposed.token);
  await within(20_000, 'the end of the stream', ended);
  expect(await refusal(exposed.url, exposed.token)).toEqual({ status: 401, data: { reason: 'token_expired' } });
});

test('--once: a client over HTTP+SSE is the first one, too', async () => {
  const exposed = await startExpose({ server, args: ['--once'] });
  const first = await connectWith['v1 over HTTP+SSE'](exposed.url, exposed.token);
  expect(await refusal(exposed.url, exposed.token)).toEqual({ status: 401, data: { reason: 'token_already_used' } });
  expect(await first.call('echo', { text: 'hello' })).toBe('hello');
  // The same program again, over the other transport.
  const again = await connectWith.v1(exposed.url, exposed.token);
  expect(await again.call('echo', { text: 'hello' })).toBe('hello');
});

test('a token for one client, and for some calls, is the same after a restart', async () => {
  const state = path.join(temporaryDirectory(), 'tokens.json');
  const start = () => startExpose({ server, args: ['--state', state, '--once', '--max-calls', '2'] });
  const first = await start();
  expect(textOf(await echo(await openSession(first.url, first.token)))).toBe('hello');
  await first.stop('SIGTERM');

  const second = await start();
  expect(await refusal(second.url, first.token, 'another')).toEqual({
    status: 401,
    data: { reason: 'token_already_used' },
  });
  const session = await openSession(second.url, first.token);
  expect(textOf(await echo(session))).toBe('hello');
  expect((await echo(session)).error?.data).toEqual({ reason: 'token_exhausted' });
});

test('the audit shows who of several has called, and when a token ended', async () => {
  const file = path.join(temporaryDirectory(), 'audit.jsonl');
  const exposed = await startExpose({ server, args: ['--audit', file] });
  const [anna, ben] = [await token(exposed, 'add', 'anna'), await token(exposed, 'add', 'ben')];
  const sessions = await Promise.all([openSession(exposed.url, anna), openSession(exposed.url, ben)]);
  await Promise.all(sessions.map((session) => echo(session)));
  await token(exposed, 'revoke', 'anna');
  await refusal(exposed.url, anna);
  await exposed.stop('SIGTERM');

  const text = readFileSync(file, 'utf8');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => parseJson<Record<string, unknown>>(line));
  const calls = lines.filter(({ method }) => method === 'tools/call');
  expect(new Set(calls.map(({ caller, outcome }) => `${String(caller)} ${String(outcome)}`))).toEqual(
    new Set(['anna ok', 'ben ok']),
  );
  expect(lines.filter(({ event }) => event === 'token')).toMatchObject([
    { caller: 'anna', change: 'added' },
    { caller: 'ben', change: 'added' },
    { caller: 'anna', change: 'revoked' },
  ]);
  expect(lines.find(({ event }) => event === 'admission')).toMatchObject({ reason: 'token_revoked' });
  for (const secret of [anna, ben, exposed.token]) expect(text).not.toContain(secret.slice(5));
});
