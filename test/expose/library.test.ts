import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { expose, ExposeError, type ExposeEvent, type ExposeOptions } from '../../src/index.ts';
import { eventually } from '../harness/eventually.ts';
import { fixture } from '../harness/program.ts';
import { writeConfig } from './config/config-file.ts';

async function failureOf(options: unknown): Promise<ExposeError> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what a caller without types may pass
  const thrown: unknown = await expose(options as ExposeOptions).then(
    async (exposed) => await exposed.close(),
    (error: unknown) => error,
  );
  if (!(thrown instanceof ExposeError)) throw new Error('it did not fail', { cause: thrown });
  return thrown;
}

function eventOf<Type extends ExposeEvent['type']>(
  type: Type,
  events: readonly ExposeEvent[],
): Extract<ExposeEvent, { type: Type }> {
  const found = events.find((event): event is Extract<ExposeEvent, { type: Type }> => event.type === type);
  if (found === undefined) throw new Error(`no event ${type}`);
  return found;
}

const server = { stdio: ['node', '-e', ''] };

function stdioOf(name: string): [string, ...string[]] {
  const [file = '', ...args] = fixture(name);
  return [file, ...args];
}

describe('an option that does not exist', () => {
  test.each([
    [{ server, listen: { prot: 80 } }, 'listen.prot', 'did you mean listen.port?'],
    [{ server, listen: { maxbody: 80 } }, 'listen.maxbody', 'did you mean listen.maxBodyBytes?'],
    [{ server, port: 80 }, 'port', 'did you mean tunnel.port or listen.port?'],
    [{ server, tunel: { kind: 'none' } }, 'tunel', 'did you mean tunnel?'],
    [{ server, tunnel: { type: 'x', kind: 'none' } }, 'tunnel.type', 'docs/library.md lists the options'],
    [{ server: { ...server, isolatoin: true } }, 'server.isolatoin', 'did you mean server.isolation?'],
    [{ server, zzzzzzzzzzzz: 1 }, 'zzzzzzzzzzzz', 'docs/library.md lists the options'],
    [{ server, access: { constructor: 1 } }, 'access.constructor', 'docs/library.md lists the options'],
  ])('%j is an error with a suggestion', async (options, name, hint) => {
    const { code, message, hints } = await failureOf(options);
    expect([code, message]).toEqual(['usage', `unknown option ${name}`]);
    expect(hints).toEqual([hint]);
  });
});

test.each([undefined, null, {}, { server: undefined }, { server: 'npx' }])('%j is no server', async (options) => {
  expect(await failureOf(options)).toMatchObject({ code: 'usage', message: 'no server specified' });
});

describe('messages and hints name options, not flags', () => {
  test('of the listener', async () => {
    const { message, hints } = await failureOf({ server, listen: { host: '192.0.2.1' }, tunnel: { kind: 'none' } });
    expect(message).toContain('192.0.2.1');
    expect(hints.join()).toContain('listen.host takes an address of this machine');
  });

  test('of the guard', async () => {
    const { code, hints } = await failureOf({ server, access: { token: false }, tunnel: { kind: 'lan' } });
    expect(code).toBe('unauthenticated_public');
    expect(hints).toEqual([
      'omit access.token: false, or add access.allowUnauthenticatedPublic if everybody may use the server',
    ]);
  });

  test('of two servers', async () => {
    const { message } = await failureOf({ server: { ...server, http: 'http://127.0.0.1:1/mcp' } });
    expect(message).toContain('server.stdio, server.http');
  });

  test('of a start that takes too long, in milliseconds', async () => {
    const { code, hints } = await failureOf({
      server: { stdio: stdioOf('silent'), startTimeoutMs: 300 },
      tunnel: { kind: 'none' },
    });
    expect(code).toBe('upstream_silent');
    expect(hints).toEqual([
      'is it an MCP server that speaks over stdio? output.onEvent shows what it prints',
      'allow more time with server.startTimeoutMs: 120000',
    ]);
  });

  test('of a token', async () => {
    const { message, hints } = await failureOf({ server, access: { token: '' }, tunnel: { kind: 'none' } });
    expect(message).toBe('access.token is empty');
    expect(hints.join()).toMatch(/access\.token\b.*access\.tokenFile/);
  });

  test('of a server in `servers` and in its event', async () => {
    const [command, ...args] = stdioOf('echo');
    const echo = { command, args };
    const file = writeConfig({ mcpServers: { echo, remote: { url: 'http://mcp.example/mcp' } } });
    const events: ExposeEvent[] = [];
    const { servers, close } = await expose({
      server: { config: file, watch: true },
      tunnel: { kind: 'none' },
      output: { onEvent: (event) => events.push(event) },
    });
    const hints = ['use https://', 'if you trust the network in between, add server.allowPlainHttp'];
    try {
      expect(servers.map(({ error }) => error?.hints)).toEqual([undefined, hints]);
      writeConfig({ mcpServers: { echo, other: { url: 'http://other.example/mcp' } } }, 'mcp.json', path.dirname(file));
      const { servers: next } = await eventually(() => eventOf('servers', events));
      expect(next.map(({ name, error }) => [name, error?.hints])).toEqual([
        ['echo', undefined],
        ['other', hints],
      ]);
    } finally {
      await close();
    }
  });

  test('of a tunnel that cannot be used', async () => {
    const events: ExposeEvent[] = [];
    await expose({
      server: { stdio: stdioOf('echo') },
      tunnel: { kind: 'auto', order: ['ssh'] },
      output: { onEvent: (event) => events.push(event) },
    }).then(async ({ close }) => close());
    expect(eventOf('attempt', events).reason).toBe('tunnel.kind ssh does not say which server to use');
  });
});

describe('what a message quotes stays as it is', () => {
  test('the output of a server', async () => {
    const script = 'console.error("bad option: --port 80"); process.exit(1)';
    const { hints } = await failureOf({ server: { stdio: ['node', '-e', script] }, tunnel: { kind: 'none' } });
    expect(hints[0]).toBe('it printed: bad option: --port 80');
  });

  test('a command', async () => {
    const { message } = await failureOf({ server: { stdio: ['no-such --port 80'] }, tunnel: { kind: 'none' } });
    expect(message).toContain("'no-such --port 80'");
  });

  test('a URL', async () => {
    const { message } = await failureOf({ server: { http: 'http://127.0.0.1:9/--port' }, tunnel: { kind: 'none' } });
    expect(message).toContain('http://127.0.0.1:9/--port');
  });
});
