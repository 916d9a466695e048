// With --audit-bodies, I can read later what was asked and answered, and still no secret is in the file.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { launchExpose, startExpose } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const server = fixture('fails-as-told');

const resultWith = (shown: string): object => ({ content: [{ type: 'text', text: shown }] });

test('calls have their arguments and results, redacted and cut; events and the short form have none', async () => {
  const file = path.join(temporaryDirectory('test'), 'audit.jsonl');
  const exposed = await startExpose({
    server,
    args: ['--audit', file, '--audit-bodies', '--verbose', '--deny-tool', 'hidden'],
  });
  const session = await openSession(exposed.url, exposed.token);
  await session.call(2, 'tools/call', { name: 'echo', arguments: { text: 'hello\nyou', api_key: 'sesame' } });
  await session.call(3, 'tools/call', { name: 'echo', arguments: { text: `{"token": "${exposed.token}"}` } });
  await session.call(4, 'tools/call', { name: 'throw', arguments: { text: 'Bearer sesame123' } });
  await session.call(5, 'tools/call', { name: 'hidden', arguments: { a: 1 } });
  await session.call(6, 'tools/call', { name: 'echo', arguments: { text: 'long '.repeat(10_000) } });
  await session.call(7, 'tools/list');
  const older = await connectWith['v1 over HTTP+SSE'](exposed.url, exposed.token);
  await older.call('echo', { text: 'over SSE' });
  await older.close();
  await exposed.stop('SIGTERM');

  const text = readFileSync(file, 'utf8');
  expect(text).not.toMatch(/sesame/);
  expect(text).not.toContain(exposed.token);
  const entries = text
    .trim()
    .split('\n')
    .map((line) => parseJson<Record<string, unknown>>(line));
  const bodies = entries
    .filter(({ method }) => method === 'tools/call')
    .map(({ arguments: sent, result, error }) => ({ sent, result, error }));
  expect(bodies.slice(0, 4)).toEqual([
    { sent: { text: 'hello\nyou', api_key: '…' }, result: resultWith('hello\nyou') },
    { sent: { text: '{"token": …}' }, result: resultWith('{"token": …}') },
    { sent: { text: 'Bearer …' }, error: { code: -32_000, message: 'Bearer …' } },
    {
      sent: { a: 1 },
      error: {
        code: -32_602,
        message: 'tool not allowed: hidden',
        data: { reason: 'not_allowed', tool: 'hidden' },
      },
    },
  ]);
  expect(JSON.stringify(bodies[4]?.sent).length).toBeLessThanOrEqual(16 * 1024);
  expect(bodies[4]?.result).toMatchObject({
    content: [{ text: expect.stringMatching(/^(long ){1000}.*…$/) as unknown }],
  });
  expect(bodies[5]).toEqual({ sent: { text: 'over SSE' }, result: resultWith('over SSE') });
  expect(entries.find(({ method }) => method === 'tools/list')).not.toHaveProperty('result');
  for (const event of exposed.events()) expect(Object.keys(event)).not.toContain('arguments');
  expect(exposed.stdout() + exposed.stderr()).not.toMatch(/hello|over SSE/);

  const shown = startProgram(['audit', file], { mark: randomUUID() });
  await shown.exited;
  expect(shown.stdout()).toMatch(/tools\/call echo {2}ok {2}[\d.]+ ms {2}\d+ B, \d+ B\n/);
  expect(shown.stdout()).not.toContain('hello');
  const whole = startProgram(['audit', file, '--json', '--tool', 'echo'], { mark: randomUUID() });
  await whole.exited;
  expect(whole.stdout()).toContain(String.raw`"arguments":{"text":"hello\nyou","api_key":"…"}`);
});

test('without --audit, it is an error', async () => {
  const run = launchExpose({ server, args: ['--audit-bodies'] });
  expect(await run.exited).toBe(2);
  expect(run.events()[0]).toMatchObject({ message: '--audit-bodies has no effect without --audit' });
});
