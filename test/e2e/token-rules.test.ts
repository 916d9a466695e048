// Two people share a run, and may do different things: what is not allowed is not listed, and the server never sees it.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { within } from '../harness/eventually.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, installedServer, startProgram, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];
const flipsHint = fixture('flips-hint');

async function token(exposed: Pick<Exposed, 'home'>, ...args: string[]): Promise<string> {
  const run = startProgram(['token', ...args], { mark: randomUUID(), home: exposed.home });
  if ((await run.exited) !== 0) throw new Error(run.stderr());
  return run.stdout().trim();
}

const toolCall = (id: number, name: string): object => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });

describe.each(['session', 'shared'] as const)('--isolation %s', (isolation) => {
  const start = (...args: string[]): Promise<Exposed> =>
    startExpose({ server: flipsHint, args: ['--isolation', isolation, ...args] });

  test.each(sdkVersions)('each token has its own rules (%s)', async (version) => {
    const exposed = await start('--deny-tool', 'silent');
    const anna = await token(exposed, 'add', 'anna', '--allow-tool', 'c*', '--allow-tool', 's*');
    const ben = await token(exposed, 'add', 'ben', '--read-only', '--deny-tool', 'flip');
    const connect = connectWith[version];
    const [first, second, own] = await Promise.all([
      connect(exposed.url, anna),
      connect(exposed.url, ben),
      connect(exposed.url, exposed.token),
    ]);
    expect(await first.tools()).toEqual(['change', 'seen']);
    // The first version of the SDK reads one page.
    const [some, most] = await Promise.all([second.tools(), own.tools()]);
    expect(some.filter((tool) => tool !== 'look')).toEqual(['seen']);
    expect(most.slice(0, 2)).toEqual(['change', 'seen']);

    await expect(first.call('look')).rejects.toThrow('tool not allowed: look');
    // What the run hides stays hidden.
    await expect(first.call('silent')).rejects.toThrow('tool not allowed: silent');
    await expect(second.call('change')).rejects.toThrow('tool not allowed: change');
    await expect(second.call('flip')).rejects.toThrow('tool not allowed: flip');
    const seen = await Promise.all([first.call('seen'), second.call('seen')]);
    expect(seen.join(' ')).not.toMatch(/look|change|flip|silent/);

    expect(await first.call('change')).toBe('did change');
    expect(await second.call('look')).toBe('did look');
    expect(await own.call('flip')).toBe('did flip');
  });

  test('of a batch, what the token allows is done', async () => {
    const exposed = await start();
    const anna = await token(exposed, 'add', 'anna', '--deny-tool', 'change');
    const session = await openSession(exposed.url, anna, { protocolVersion: '2025-03-26' });
    const reply = await session.post(JSON.stringify([toolCall(11, 'look'), toolCall(12, 'change')]));
    const answers = await reply.ended;
    expect(answers.find(({ id }) => id === 11)?.result).toMatchObject({ content: [{ text: 'did look' }] });
    expect(answers.find(({ id }) => id === 12)?.error).toEqual({
      code: -32602,
      message: 'tool not allowed: change',
      data: { reason: 'not_allowed', tool: 'change' },
    });
    expect(textOf(await session.call(14, 'tools/call', { name: 'seen' }))).not.toContain('change');
  });
});

test('a read-only run stays so for a token with an exception; without it, the exception is reported', async () => {
  const add = ['add', 'anna', '--read-only', '--allow-tool', 'change', '--allow-tool', 'look'];
  const [reading, full] = await Promise.all([
    startExpose({ server: flipsHint, args: ['--read-only'] }),
    startExpose({ server: flipsHint }),
  ]);
  const inReading = await openSession(reading.url, await token(reading, ...add));
  const refused = await inReading.call(5, 'tools/call', { name: 'change' });
  expect(refused.error).toMatchObject({ data: { reason: 'not_read_only', tool: 'change' } });
  const inFull = await openSession(full.url, await token(full, ...add));
  expect(textOf(await inFull.call(5, 'tools/call', { name: 'change' }))).toBe('did change');
  const exception = 'the read-only token anna allows these tools, whatever they change: change, look';
  await full.waitForStderr(new RegExp(exception));
  expect(reading.stderr()).not.toContain('the read-only token');
});

test('rules for resources and prompts', async () => {
  const exposed = await startExpose({ server: installedServer('mcp-server-everything') });
  const anna = await token(exposed, 'add', 'anna', '--deny-resource', 'demo://*', '--allow-prompt', 'simple-*');
  const [limited, own] = await Promise.all([
    connectWith.v2(exposed.url, anna),
    connectWith.v2(exposed.url, exposed.token),
  ]);
  const uri = 'demo://resource/static/document/architecture.md';
  expect(await limited.resources()).toEqual([]);
  await expect(limited.readResource(uri)).rejects.toThrow(`resource not allowed: ${uri}`);
  expect(await own.readResource(uri)).not.toBe('');
  expect(await limited.prompts()).toEqual(['simple-prompt']);
  await expect(limited.prompt('args-prompt', { city: 'x' })).rejects.toThrow('prompt not allowed: args-prompt');
  expect(await own.prompts()).toContain('args-prompt');
});

const namesOf = async ({ url }: Exposed, secret: string) => (await connectWith.v2(url, secret)).tools();

test('they are kept by rotate and over a restart, listed, and gone with the token', async () => {
  const state = path.join(temporaryDirectory(), 'tokens.json');
  const start = (home?: string) =>
    startExpose({ server: flipsHint, args: ['--state', state], ...(home === undefined ? {} : { home }) });
  const rules = { allowTools: ['l*', 'seen'], denyPrompts: ['*'] };
  const first = await start();
  await token(first, 'add', 'anna', '--allow-tool', 'l*', '--allow-tool', 'seen', '--deny-prompt', '*');
  const rotated = await token(first, 'rotate', 'anna');
  expect(await namesOf(first, rotated)).toEqual(['seen', 'look']);
  await first.stop('SIGTERM');

  const second = await start(first.home);
  expect(await namesOf(second, rotated)).toEqual(['seen', 'look']);
  expect(await token(second, 'list')).toMatch(/^anna +valid +tools l\* seen, all prompts except \*$/m);
  expect(parseJson(await token(second, 'list', '--json'))).toMatchObject([
    { name: 'default' },
    { name: 'anna', ...rules },
  ]);
  const session = await openSession(second.url, rotated);
  const stream = await session.listen();
  await token(second, 'revoke', 'anna');
  await within(10_000, 'the end of the stream', stream.ended);
  // Another one of its name has none of its rules.
  expect(await namesOf(second, await token(second, 'add', 'anna'))).toContain('change');
});

test('rules that are not valid add no token, and say why', async () => {
  const exposed = await startExpose({ server: flipsHint });
  const add = token(exposed, 'add', 'anna', '--deny-tool', 'x'.repeat(10_000));
  await expect(add).rejects.toThrow('error: the limits of a token are longer than 8 KiB');
  await expect(token(exposed, 'revoke', 'default', '--deny-tool', 'x', '--once')).rejects.toThrow(
    'token revoke takes no --once, --deny-tool',
  );
  expect(await token(exposed, 'list')).not.toContain('anna');
});
