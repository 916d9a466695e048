// Whatever I do and whatever goes wrong, a secret is only where it belongs: each one is planted, and then looked for everywhere.
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, startBehindRelay, startRelay, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort, listenOnLoopback } from '../harness/loopback-server.ts';
import { codeOf, knock } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { allProcesses, descendants, environmentOf, processInfo } from '../harness/processes.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';

/** What must be found nowhere else than where it belongs. */
class Secrets {
  readonly #secrets = new Map<string, string>();

  /** A new one. */
  plant(what: string): string {
    return this.add(what, `canary-${randomBytes(12).toString('hex')}`);
  }

  /** One of mcp-expose. */
  add(what: string, secret: string | undefined): string {
    if (secret === undefined || secret.length < 8) throw new Error(`there is no ${what}`);
    this.#secrets.set(what, secret);
    return secret;
  }

  /** Each secret that is in a place, as `token in standard output`. */
  foundIn(places: Readonly<Record<string, string>>): string[] {
    return Object.entries(places).flatMap(([place, content]) =>
      [...this.#secrets].flatMap(([what, secret]) => (content.includes(secret) ? `${what} in ${place}` : [])),
    );
  }
}

interface Remote {
  readonly url: string;
  /** Request lines and headers, and bodies. */
  readonly urls: string[];
  readonly headers: string[];
}

/** A server that is called over HTTP, and fails in many ways. */
async function startRemote(result: string, failure: string): Promise<Remote> {
  const [urls, headers]: [string[], string[]] = [[], []];
  const server = createServer((request, response) => {
    urls.push(request.url ?? '');
    headers.push(JSON.stringify(request.headers));
    void text(request).then((body) => respond(response, body, result, failure));
  });
  const port = await listenOnLoopback(server);
  return { url: `http://127.0.0.1:${port}/mcp`, urls, headers };
}

interface Asked {
  id?: number | string;
  method?: string;
  params?: { name?: string };
}

function respond(response: ServerResponse, body: string, result: string, failure: string): unknown {
  const { id, method, params } = body === '' ? {} : parseJson<Asked>(body);
  const answer = (status: number, content: string, type = 'application/json'): unknown =>
    response.writeHead(status, { 'content-type': type }).end(content);
  const reply = (value: object): unknown => answer(200, JSON.stringify({ jsonrpc: '2.0', id, result: value }));
  if (id === undefined) return answer(202, '');
  if (method === 'initialize') {
    const serverInfo = { name: 'remote', version: '1' };
    return reply({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo });
  }
  switch (params?.name) {
    case undefined:
      return reply({ tools: [] });
    case 'fail':
      return answer(500, `<p>${failure}</p>`, 'text/html');
    case 'nonsense':
      return answer(200, `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"${failure}"`);
    case 'forbid':
      return answer(401, JSON.stringify({ error: failure }));
    case 'hang up':
      return response.destroy();
    default:
      return reply({ content: [{ type: 'text', text: result }] });
  }
}

function entry(name: string, env: Record<string, string> = {}): object {
  const [command, ...args] = fixture(name);
  return { command, args, env };
}

/** The content of all files below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => readFileSync(path.join(found.parentPath, found.name), 'utf8'));
}

/** Approves a client with the code that the terminal shows, as its user's browser would. */
async function approve(page: string, code: string): Promise<{ body: string; to: URLSearchParams }> {
  const shown = await fetch(page);
  const cookie = shown.headers.get('set-cookie')?.split(';')[0] ?? '';
  const [, request = ''] = /name="request" value="([^"]*)"/.exec(await shown.text()) ?? [];
  const { origin, pathname } = new URL(page);
  const answered = await fetch(origin + pathname, {
    method: 'POST',
    headers: { cookie, origin, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ request, decision: 'approve', code, scope: 'mcp' }),
    redirect: 'manual',
  });
  const location = answered.headers.get('location');
  return { body: await answered.text(), to: new URL(location ?? page).searchParams };
}

const call = (session: RawSession, name: string, args: object = {}) =>
  session.call(randomUUID(), 'tools/call', { name, arguments: args });

test('a whole run, with errors', async () => {
  const secrets = new Secrets();
  const remote = await startRemote(secrets.plant('remote result'), secrets.plant('remote failure'));
  const folder = temporaryDirectory('test');
  const [config, audit, state] = ['mcp.json', 'audit.jsonl', 'state.json'].map((name) => path.join(folder, name));
  const servers = {
    files: entry('fails-as-told', { FILES_KEY: secrets.plant('variable of a server') }),
    crash: entry('crash-on-call'),
    remote: {
      url: `${remote.url}?key=${secrets.plant('URL of a server')}`,
      headers: { 'X-Key': secrets.plant('header of a server') },
    },
  };
  writeFileSync(config ?? '', JSON.stringify({ mcpServers: servers }));
  const relay = await startRelay({ args: ['--verbose'] });
  const args = ['--audit', audit ?? '', '--state', state ?? '', '--oauth', '--verbose', '--deny-tool', 'hidden'];
  const exposed: Exposed = await startBehindRelay(relay, {
    config: config ?? '',
    args,
    env: { GITHUB_TOKEN: secrets.plant('variable of the shell'), NGROK_AUTHTOKEN: secrets.plant('token of ngrok') },
  });
  const { url, token, home } = exposed;
  secrets.add('token', token);
  secrets.add('pairing code', codeOf(exposed));
  secrets.add('relay key', /PRIVATE KEY-----\s+([\w+/=]+)/.exec(filesIn(home).join('\n'))?.[1]);
  const adding = startProgram(['token', 'add', 'anna'], { mark: randomUUID(), home });
  expect(await adding.exited).toBe(0);
  const added = secrets.add('added token', adding.stdout().trim());

  // A client that signs in, at the second try, and renews its token.
  const refused: string[] = [];
  const { client, url: page } = await knock({ url: `${url}/files/mcp` }, { name: 'Some App' });
  refused.push((await approve(page, 'AAAA-AAAA')).body);
  const { to } = await approve(page, codeOf(exposed));
  secrets.add('OAuth code', to.get('code') ?? undefined);
  const connected = await client.finish(to);
  expect(await connected.call('echo', { text: secrets.plant('argument of OAuth') })).toContain('canary');
  secrets.add('OAuth verifier', client.saved.verifier);
  secrets.add('access token', client.saved.tokens?.access_token);
  secrets.add('refresh token', client.saved.tokens?.refresh_token);
  client.saved.tokens = { ...client.saved.tokens, access_token: 'mcpa_expired', token_type: 'Bearer' };
  await (await client.connect()).close();
  secrets.add('second access token', client.saved.tokens.access_token);
  secrets.add('second refresh token', client.saved.tokens.refresh_token);
  await connected.close();

  // Calls that work, and calls that fail.
  const sessions = await Promise.all([
    openSession(`${url}/files/mcp`, token),
    openSession(`${url}/crash/mcp`, added),
    openSession(`${url}/remote/mcp`, token),
  ]);
  const [files, crash, far] = sessions;
  for (const [at, { id }] of sessions.entries()) secrets.add(`session ${at}`, id);
  const argument = secrets.plant('argument');
  expect(textOf(await call(files, 'echo', { text: argument }))).toBe(argument);
  expect(textOf(await call(far, 'echo', { text: argument }))).toContain('canary');
  const failed = [
    await call(files, 'fail', { [argument]: argument }),
    await call(files, 'throw', { password: argument }),
    await call(files, 'hidden', { text: argument }),
    await call(files, 'unknown', { text: argument }),
    await call(crash, 'crash', { text: argument }),
    ...(await Promise.all(
      ['nonsense', 'hang up', 'fail', 'forbid'].map((name) => call(far, name, { text: argument })),
    )),
  ];
  const wrong = secrets.add('wrong token', `${token.slice(0, -4)}AAAA`);
  const almost = (headers: [string, string][], body = initializeRequest()) =>
    send(`${url}/files/mcp`, { method: 'POST', headers, body });
  const replies = [
    await almost(clientHeaders(wrong)),
    await almost(clientHeaders(token, [['X-API-Key', token]])),
    await almost(clientHeaders('', [['Cookie', `session=${token}`]])),
    await almost(clientHeaders(token), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"text":"${argument}`),
    await almost(clientHeaders(token, [['Mcp-Session-Id', secrets.plant('wrong session')]])),
    await send(`${url}/files/mcp?token=${token}`, { method: 'POST', headers: clientHeaders('').slice(1), body: '{}' }),
    await send(`${url}/nothing/mcp`, { headers: clientHeaders(added) }),
  ];
  expect(replies.map(({ status }) => status)).toEqual([401, 400, 401, 400, 404, 401, 404]);
  refused.push(JSON.stringify(failed), ...replies.map(({ body }) => body));

  const family = descendants(exposed.pid);
  const environments = family.map(({ pid }) => environmentOf(pid).join('\n'));
  const commands = allProcesses().map(({ command }) => command.join(' '));
  expect(family.length).toBeGreaterThan(2);
  expect(processInfo(exposed.pid)?.command.join(' ')).toContain('--audit');

  // The tunnel is lost, and the run ends.
  await relay.stop();
  await exposed.waitForStdout(/"state":"reconnecting"/);
  await exposed.stop();
  await exposed.exited;

  const places = {
    'standard output': exposed.stdout(),
    'standard error': exposed.stderr(),
    'output of the relay': relay.stdout() + relay.stderr(),
    'output of token add': adding.stdout() + adding.stderr(),
    'the audit file': readFileSync(audit ?? '', 'utf8'),
    'the state file': readFileSync(state ?? '', 'utf8'),
    'what clients were refused': refused.join('\n'),
    'command lines': commands.join('\n'),
    'environments of processes': environments.join('\n'),
    'URLs of the remote server': remote.urls.join('\n'),
    'headers of the remote server': remote.headers.join('\n'),
  };
  expect(secrets.foundIn(places)).toEqual([
    'token in standard output',
    'pairing code in standard output',
    'pairing code in standard error',
    'added token in output of token add',
    // What a server answers is for its client.
    'remote failure in what clients were refused',
    'variable of a server in environments of processes',
    'URL of a server in URLs of the remote server',
    'header of a server in headers of the remote server',
  ]);
  expect(places['standard output'].split(token)).toHaveLength(2);
  expect(environments.filter((environment) => environment.includes('FILES_KEY'))).not.toHaveLength(family.length);
  // What was looked through is what was meant.
  for (const place of ['standard output', 'the audit file'] as const)
    expect(places[place]).toMatch(/"outcome":"denied".*"reason":"not_allowed"/);
  expect(places['the audit file']).toContain('"reason":"token_unknown"');
});

function file(name: string, content: string): string {
  const created = path.join(temporaryDirectory('test'), name);
  writeFileSync(created, content, { mode: 0o600 });
  return created;
}

describe('a start that fails', () => {
  const secret = `canary-${randomBytes(12).toString('hex')}`;

  test.each<[string, () => Promise<Parameters<typeof launchExpose>[0]>, number]>([
    [
      'a configuration that is no JSON',
      async () => ({
        config: file('mcp.json', `{"mcpServers":{"a":{"command":"x","env":{"KEY":"${secret}" "B":"${secret}"}}}}`),
      }),
      2,
    ],
    [
      'a configuration with a wrong value',
      async () => ({
        config: file('mcp.json', `{"mcpServers":{"a":{"command":["${secret}"],"env":{"KEY":["${secret}"]}}}}`),
      }),
      2,
    ],
    [
      'a server that cannot be reached',
      async () => ({
        running: { kind: 'http', url: `http://127.0.0.1:${await freePort()}/mcp?key=${secret}` },
        args: ['--upstream-header', 'X-Key: ${env:SECRET_OF_TEST}'],
        env: { SECRET_OF_TEST: secret },
      }),
      3,
    ],
    [
      'a password in the URL of a server',
      async () => ({ running: { kind: 'sse', url: `http://me:${secret}@127.0.0.1:${await freePort()}/sse` } }),
      2,
    ],
    [
      'a server that exits',
      async () => ({ server: [...fixture('exit-at-start'), '--api-key', secret], args: ['--env', `KEY=${secret}`] }),
      3,
    ],
    [
      'a relay that cannot be reached',
      async () => ({
        server: fixture('echo'),
        args: ['--tunnel', 'relay', '--relay', `http://127.0.0.1:${await freePort()}`],
        env: { MCP_EXPOSE_TOKEN: secret },
      }),
      4,
    ],
    [
      'a password in the URL of a relay',
      async () => ({
        server: fixture('echo'),
        args: ['--tunnel', 'relay', '--relay', `http://me:${secret}@127.0.0.1:${await freePort()}`],
      }),
      2,
    ],
    [
      'a token that cannot be sent',
      async () => ({ server: fixture('echo'), env: { MCP_EXPOSE_TOKEN: `${secret} x` } }),
      2,
    ],
    [
      'a token file that others can read',
      async () => {
        const open = file('token', secret);
        chmodSync(open, 0o644);
        return { server: fixture('echo'), args: ['--token-file', open] };
      },
      2,
    ],
    [
      'a damaged state file',
      async () => ({ server: fixture('echo'), args: ['--state', file('state.json', `{"tokens":"${secret}`)] }),
      2,
    ],
  ])('%s', async (_what, options, code) => {
    const given = await options();
    const run = launchExpose({ ...given, args: ['--verbose', ...(given.args ?? [])] });
    expect(await run.exited).toBe(code);
    expect(run.events()[0]).toMatchObject({ event: 'error' });
    await eventually(() => expect(run.stderr()).toContain('error:'));
    expect(run.stdout() + run.stderr()).not.toContain(secret);
  });
});
