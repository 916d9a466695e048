// The token is shown once, to me, and is found nowhere else; nor does anything of a caller reach my server.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { allProcesses, descendants, environmentOf } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';

const chosenToken = 'mcpx_the-token-of-this-test-0123456789-0123456789';

async function childEnvironment(exposed: Exposed): Promise<Record<string, string>> {
  const session = await openSession(exposed.url, exposed.token);
  return parseJson(textOf(await session.call(1, 'tools/call', { name: 'env', arguments: {} })));
}

describe.each<[string, Record<string, string>]>([
  ['generated', {}],
  ['from MCP_EXPOSE_TOKEN', { MCP_EXPOSE_TOKEN: chosenToken }],
])('a token %s', (_what, env) => {
  test('is in no argv and in no environment of a child, be it inherited', async () => {
    const exposed = await startExpose({ server: fixture('environment'), args: ['--inherit-env'], env });
    await openSession(exposed.url, exposed.token);
    expect(allProcesses().filter(({ command }) => command.some((word) => word.includes(exposed.token)))).toEqual([]);
    const family = descendants(exposed.pid);
    expect(family.length).toBeGreaterThan(0);
    for (const { pid } of family) {
      expect(environmentOf(pid).filter((pair) => pair.includes(exposed.token))).toEqual([]);
    }
  });

  test('is in no output but the place where it is shown, however much goes wrong', async () => {
    const exposed = await startExpose({ server: fixture('crash-on-call'), args: ['--verbose'], env });
    const session = await openSession(exposed.url, exposed.token);
    const crash = await session.call(1, 'tools/call', { name: 'crash', arguments: {} });
    const wrong = `${exposed.token.slice(0, -4)}AAAA`;
    const refused = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(wrong),
      body: initializeRequest(),
    });
    const bad = await send(exposed.url, { method: 'POST', headers: clientHeaders(exposed.token), body: '{' });
    await exposed.stop();
    await exposed.exited;
    expect(JSON.stringify(crash) + refused.body + bad.body).not.toContain(exposed.token);
    expect(refused.body + exposed.stderr()).not.toContain(wrong);
    expect(exposed.stderr()).not.toContain(exposed.token);
    const shown = exposed.stdout().split(exposed.token).length - 1;
    expect(shown).toBe(env['MCP_EXPOSE_TOKEN'] === undefined ? 1 : 0);
  });
});

test('neither payloads nor results are logged, and session ids are not either', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  const session = await openSession(exposed.url, exposed.token);
  await session.call(1, 'tools/call', { name: 'echo', arguments: { text: 'the-secret-of-a-caller' } });
  await exposed.stop();
  await exposed.exited;
  const printed = exposed.stdout() + exposed.stderr();
  expect(printed).not.toContain('the-secret-of-a-caller');
  expect(printed).not.toContain(session.id);
});

describe('the environment of a server', () => {
  const env = {
    AWS_SECRET_ACCESS_KEY: 'do-not-share',
    GITHUB_TOKEN: 'do-not-share',
    NODE_OPTIONS: '--no-warnings',
    SSH_AUTH_SOCK: '/tmp/agent',
    MCP_EXPOSE_TOKEN: chosenToken,
    MY_SETTING: 'from the shell',
  };

  test('is minimal: a safe list and what --env adds', async () => {
    const exposed = await startExpose({
      server: fixture('environment'),
      args: ['--env', 'GREETING=hello=world', '--env', 'EMPTY='],
      env,
    });
    const seen = await childEnvironment(exposed);
    expect(seen).toMatchObject({ GREETING: 'hello=world', EMPTY: '', HOME: exposed.home });
    expect(seen['PATH']).toBeDefined();
    expect(JSON.stringify(seen)).not.toContain('do-not-share');
    for (const name of Object.keys(env)) expect(seen).not.toHaveProperty(name);
    expect(
      Object.keys(seen).filter((name) => name.startsWith('MCP_EXPOSE_') && name !== 'MCP_EXPOSE_TEST_MARK'),
    ).toEqual([]);
  });

  test('is the whole of mine with --inherit-env, save the secrets of mcp-expose itself', async () => {
    const exposed = await startExpose({ server: fixture('environment'), args: ['--inherit-env'], env });
    const seen = await childEnvironment(exposed);
    expect(seen).toMatchObject({ MY_SETTING: 'from the shell', GITHUB_TOKEN: 'do-not-share' });
    expect(seen).not.toHaveProperty('MCP_EXPOSE_TOKEN');
  });

  test('--cwd is where it starts', async () => {
    const exposed = await startExpose({ server: fixture('environment'), args: ['--cwd', '/tmp'] });
    const session = await openSession(exposed.url, exposed.token);
    expect(textOf(await session.call(1, 'tools/call', { name: 'cwd', arguments: {} }))).toBe('/tmp');
  });

  test('arguments after -- reach it as they are, without a shell', async () => {
    const words = ['two words', '$HOME', '*', '"quoted"', "it's", '', '--port', 'a;b'];
    const exposed = await startExpose({ server: fixture('environment', ...words) });
    const session = await openSession(exposed.url, exposed.token);
    expect(parseJson(textOf(await session.call(1, 'tools/call', { name: 'argv', arguments: {} })))).toEqual(words);
  });

  test('--stdio splits a command line as a shell would', async () => {
    const [node = '', script = ''] = fixture('environment');
    const exposed = await startExpose({ stdio: `"${node}" '${script}' one "two words" 'it is' a\\ b ""` });
    const session = await openSession(exposed.url, exposed.token);
    expect(parseJson(textOf(await session.call(1, 'tools/call', { name: 'argv', arguments: {} })))).toEqual([
      'one',
      'two words',
      'it is',
      'a b',
      '',
    ]);
  });
});

describe('the headers of a caller', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    const relay = await startRelay({ lifetime: 'file' });
    exposed = await startBehindRelay(relay, { server: fixture('unknown-methods'), lifetime: 'file' });
  });

  test('reach the server in no form', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: [...session.headers, ['Cookie', 'session=caller-cookie'], ['X-Forwarded-For', '203.0.113.7']],
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'test/log' }),
    });
    expect(reply.status).toBe(200);
    expect(reply.body).not.toMatch(/caller-cookie|203\.0\.113\.7|[Aa]uthorization/);
    expect(reply.body).not.toContain(exposed.token);
  });

  test('are not reflected in the response', async () => {
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(exposed.token, [['X-Reflect', 'look-for-me']]),
      body: initializeRequest(),
    });
    expect(reply.rawHeaders.join('\n')).not.toMatch(/look-for-me|authorization/i);
    expect(reply.headers['x-powered-by']).toBeUndefined();
  });
});

test('the relay logs neither tokens nor payloads', async () => {
  const relay = await startRelay({ args: ['--verbose'] });
  const exposed = await startBehindRelay(relay, { server: fixture('echo') });
  const session = await openSession(exposed.url, exposed.token);
  await session.call(1, 'tools/call', { name: 'echo', arguments: { text: 'the-secret-of-a-caller' } });
  await relay.stop();
  await relay.exited;
  const printed = relay.stdout() + relay.stderr();
  expect(printed).not.toContain(exposed.token);
  expect(printed).not.toContain('the-secret-of-a-caller');
});
