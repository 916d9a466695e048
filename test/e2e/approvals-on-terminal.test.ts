// The owner decides about calls on the terminal: what is shown, and which answer counts for what.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createDeferred } from '../../src/platform/deferred.ts';
import { failureOf } from '../harness/failure-of.ts';
import { fixture } from '../harness/program.ts';
import { connectWith, type SdkClient, type SdkVersion } from '../harness/sdk-clients.ts';
import { startOnTerminal, type Terminal } from '../harness/terminal.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];
const isolations = ['session', 'shared'] as const;

/** Lists `look`, `flip` and `seen` as read-only, and says of `seen` what was called. */
const server = fixture('flips-hint');

interface OnTerminal {
  terminal: Terminal;
  url: string;
  connect: (version: SdkVersion) => Promise<SdkClient>;
  /** Waits for the question of this number, and types a line. */
  answer: (number: number, word: string) => Promise<void>;
}

async function onTerminal(...args: string[]): Promise<OnTerminal> {
  const token = randomUUID() + randomUUID();
  const terminal = startOnTerminal(['--tunnel', 'none', ...args, '--', ...server], { MCP_EXPOSE_TOKEN: token });
  const [url = ''] = await terminal.waitFor(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  return {
    terminal,
    url,
    connect: (version) => connectWith[version](url, token),
    async answer(number, word) {
      await terminal.waitFor(new RegExp(String.raw`(?:Allow it\? \[y/N\] [^]*){${number}}`));
      terminal.type(`${word}\n`);
    },
  };
}

describe('questions about calls', () => {
  test.each(isolations)('y lets a call pass, n and anything else does not (--isolation %s)', async (isolation) => {
    const { terminal, connect, answer } = await onTerminal('--approve', 'destructive', '--isolation', isolation);
    let questions = 0;
    for (const version of sdkVersions) {
      // oxlint-disable no-await-in-loop -- one question follows another
      const client = await connect(version);
      expect(await client.call('look')).toBe('did look');
      const approved = client.call('change', { path: '/tmp/a\u202E' });
      await answer(++questions, 'y');
      expect(await approved).toBe('did change');
      await terminal.waitFor(/approved: change, called by default/);
      for (const word of ['n', '', 'yess']) {
        const refused = failureOf(client.call('silent'));
        await answer(++questions, word);
        expect(await refused).toContain('tool not approved: silent');
      }
      expect(await client.call('seen')).not.toContain('silent');
      await client.close();
      // oxlint-enable no-await-in-loop
    }
    expect(terminal.screen()).toContain(
      String.raw`default (mcp-expose-tests 0.0.0, from 127.0.0.1) wants to call change:` +
        '\n' +
        String.raw`  {"path":"/tmp/a\u202e"}` +
        '\nAllow it? [y/N] y\n',
    );
    expect(terminal.screen().match(/Allow it/g)).toHaveLength(questions);
  });

  test('what was typed before the question does not answer it', async () => {
    const { terminal, connect, answer } = await onTerminal('--approve', 'all');
    const client = await connect('v1');
    terminal.type('y\nmarker\n');
    await terminal.waitFor(/marker/);
    const call = failureOf(client.call('change'));
    await answer(1, 'n');
    expect(await call).toContain('tool not approved: change');
    const other = client.call('look');
    // The second line is too early for the next question.
    await answer(2, 'y\ny');
    expect(await other).toBe('did look');
    const last = failureOf(client.call('change'));
    await answer(3, 'n');
    expect(await last).toContain('tool not approved: change');
  });

  test('an answer that was begun for one question does not answer the next, which comes a second later', async () => {
    const { terminal, connect, answer } = await onTerminal('--approve', 'all');
    const client = await connect('v1');
    const patience = new AbortController();
    const cancelled = failureOf(client.call('look', {}, { signal: patience.signal }));
    await terminal.waitFor(/Allow it/);
    terminal.type('y');
    await terminal.waitFor(/Allow it\? \[y\/N\] y/);
    const next = failureOf(client.call('change'));
    const endedAt = performance.now();
    patience.abort();
    await cancelled;
    await answer(2, '');
    expect(performance.now() - endedAt).toBeGreaterThanOrEqual(1000);
    expect(await next).toContain('tool not approved: change');
    const last = client.call('look');
    await answer(3, 'y');
    expect(await last).toBe('did look');
  });

  test('Ctrl+D refuses a call, and the next one is asked about', async () => {
    const { terminal, connect, answer } = await onTerminal('--approve', 'all');
    const client = await connect('v1');
    const refused = failureOf(client.call('change'));
    await terminal.waitFor(/Allow it/);
    terminal.type('\u0004');
    expect(await refused).toContain('tool not approved: change');
    const next = client.call('look');
    await answer(2, 'y');
    expect(await next).toBe('did look');
  });

  test('without an answer in time, the call is refused', async () => {
    const { terminal, connect } = await onTerminal('--approve', 'change', '--approve-timeout', '3s');
    const client = await connect('v1');
    await expect(client.call('change')).rejects.toThrow('tool not approved: change, since nobody answered within 3 s');
    await terminal.waitFor(/Allow it\? \[y\/N\] \nmcp-expose: refused: change, .* \(nobody answered in time\)/);
    expect(await client.call('seen')).not.toContain('change');
  });

  test.each(sdkVersions)('a call that its client cancels is not asked about any more (%s)', async (version) => {
    const { terminal, connect, answer } = await onTerminal('--approve', 'change');
    const client = await connect(version);
    const patience = new AbortController();
    const cancelled = failureOf(client.call('change', {}, { signal: patience.signal }));
    const next = client.call('change', { second: true });
    await terminal.waitFor(/Allow it/);
    patience.abort();
    expect(await cancelled).toMatch(/abort/i);
    await terminal.waitFor(/no longer waiting: change/);
    await answer(2, 'y');
    expect(await next).toBe('did change');
    expect((await client.call('seen')).match(/change/g)).toHaveLength(1);
  });

  test('the client is told that its call waits', async () => {
    const { connect, answer } = await onTerminal('--approve', 'change');
    const client = await connect('v1');
    const told = createDeferred<string | undefined>();
    const call = client.call('change', {}, { onprogress: ({ message }) => told.resolve(message) });
    expect(await told.promise).toBe('waiting for approval');
    await answer(1, 'y');
    expect(await call).toBe('did change');
  });

  test('Ctrl+C ends the run also while it asks, and tells the client', async () => {
    const { terminal, connect } = await onTerminal('--approve', 'change');
    const client = await connect('v1');
    const refused = failureOf(client.call('change'));
    await terminal.waitFor(/Allow it/);
    terminal.type('\u0003');
    expect(await refused).toContain('since the server is shutting down');
    expect(await terminal.exited).toBe(130);
  });

  test.each(['--json', '--quiet'])('with %s nobody is asked', async (option) => {
    const { connect } = await onTerminal('--approve', 'change', option);
    await expect((await connect('v1')).call('change')).rejects.toThrow(
      'tool not approved: change, since there is no terminal to ask on',
    );
  });
});
