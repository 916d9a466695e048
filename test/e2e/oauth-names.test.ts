// Clients that sign in choose their names, also ones that others have: I can tell them apart, and end the access of each.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { signInByForm } from '../harness/oauth-form.ts';
import { sharedServer } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { startProgram, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

async function token({ home }: Exposed, ...args: string[]): Promise<string> {
  const run = startProgram(['token', ...args], { mark: randomUUID(), home });
  await run.exited;
  return (run.stdout() + run.stderr()).trim();
}

const opens = (exposed: Exposed, accessToken: string): Promise<boolean> =>
  openSession(exposed.url, accessToken).then(
    () => true,
    () => false,
  );

/** Five calls that a rule refuses. */
async function misuse(exposed: Exposed, accessToken: string): Promise<void> {
  const session = await openSession(exposed.url, accessToken);
  for (let id = 1; id <= 5; id++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await session.call(id, 'tools/call', { name: 'change', arguments: {} });
  }
}

test('each client has a name of its own, in alerts, in the list and in the audit', async () => {
  const file = path.join(temporaryDirectory('test'), 'audit.jsonl');
  const args = ['--oauth', '--deny-tool', 'change', '--audit', file];
  const exposed = await startExpose({ server: sharedServer, args });
  const tokens: string[] = [];
  for (const name of ['mcp-expose', 'default', 'Claude', 'Claude']) {
    // oxlint-disable-next-line no-await-in-loop -- each uses up a code
    tokens.push((await signInByForm(exposed, {}, name)).access_token);
  }
  const names = ['mcp-expose 2', 'default 2', 'Claude', 'Claude 2'];
  expect(parseJson<{ name: string }[]>(await token(exposed, 'list', '--json')).map(({ name }) => name)).toEqual([
    'default',
    ...names,
  ]);
  await Promise.all(tokens.map((accessToken) => misuse(exposed, accessToken)));
  await exposed.waitForStderr(/(?:alert: [^]*){4}/);
  const alerts = exposed.events().filter(({ kind }) => kind === 'refusals');
  expect(new Set(alerts.map(({ caller }) => caller))).toEqual(new Set(names));
  expect(exposed.stderr()).toContain("mcp-expose token revoke 'mcp-expose 2'\n");

  for (const [at, name] of names.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect(await token(exposed, 'revoke', name)).toContain(`revoked ${name}`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect(await Promise.all(tokens.map((each) => opens(exposed, each)))).toEqual(tokens.map((_, which) => which > at));
  }
  expect(await opens(exposed, exposed.token)).toBe(true);
  await exposed.stop('SIGTERM');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const entries = lines.map((line) => parseJson<Record<string, unknown>>(line));
  for (const change of ['approved', 'revoked']) {
    const callers = entries.flatMap((entry) =>
      entry['event'] === 'oauth' && entry['change'] === change ? [entry['caller']] : [],
    );
    expect(callers).toEqual(names);
  }
});

test('a token cannot have the name of a client that has signed in', async () => {
  const exposed = await startExpose({ server: sharedServer, args: ['--oauth'] });
  await signInByForm(exposed, {}, 'Claude');
  expect(await token(exposed, 'add', 'Claude')).toContain('a client that has signed in has the name Claude');
  await token(exposed, 'revoke', 'Claude');
  expect(await token(exposed, 'add', 'Claude')).toMatch(/^mcpx_/);
});

test.each([
  ['--json', 'json'],
  ['- -h', 'h'],
  ['--', 'unnamed client'],
  ['..', '..'],
  ['a/b', 'a/b'],
  ["it's 50%", "it's 50%"],
])('a client that calls itself %s is listed as %s, and can be revoked', async (name, listed) => {
  const exposed = await startExpose({ server: sharedServer, args: ['--oauth'] });
  const { access_token: accessToken } = await signInByForm(exposed, {}, name);
  const list = parseJson<{ name: string }[]>(await token(exposed, 'list', '--json'));
  expect(list.map((each) => each.name)).toEqual(['default', listed]);
  expect(await token(exposed, 'revoke', listed)).toContain(`revoked ${listed}`);
  expect(await opens(exposed, accessToken)).toBe(false);
});
