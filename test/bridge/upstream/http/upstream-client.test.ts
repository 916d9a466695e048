import { once } from 'node:events';
import type dns from 'node:dns';
import { createServer, type RequestListener } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  createUpstreamClient,
  failureWords,
  type UpstreamClientOptions,
} from '../../../../src/bridge/upstream/http/upstream-client.ts';
import { ExposeError } from '../../../../src/errors.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { selfSigned } from '../../../harness/certificate.ts';
import { eventually } from '../../../harness/eventually.ts';
import { listenOnLoopback } from '../../../harness/loopback-server.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import {
  afterHandshake,
  connect,
  openSession,
  resultOf,
  startScripted,
  withoutStream,
  type Visit,
} from './http-world.ts';

/** What the resolver says of names under `.example`. */
const names = vi.hoisted(() => new Map<string, string[]>());

vi.mock('node:dns', async (original) => {
  const real = await original<typeof dns>();
  const lookup = (
    name: string,
    options: dns.LookupAllOptions,
    done: (error: Error | null, found: dns.LookupAddress[]) => void,
  ): void => {
    const address = names.get(name)?.shift();
    if (address === undefined) real.lookup(name, options, done);
    else queueMicrotask(() => done(null, [{ address, family: 4 }]));
  };
  return { ...real, lookup };
});

function client(url: string, options: Partial<UpstreamClientOptions> = {}) {
  const warnings: string[] = [];
  const created = createUpstreamClient({
    url: new URL(url),
    headers: new Map(),
    connectTimeoutMs: 5000,
    clock: systemClock,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  atEnd('test', () => created.close());
  const post = async (body = '{}') => {
    const outcome = await created.send({ method: 'POST', url: new URL(url), headers: {}, body: Buffer.from(body) })
      .outcome;
    if (outcome.kind === 'response') outcome.response.resume();
    return outcome;
  };
  return { ...created, post, warnings };
}

const echo = afterHandshake(withoutStream(({ json, body }) => json(resultOf(body?.id))));

/** A server that would keep a connection for long. */
const patient = (listener: RequestListener) => createServer({ keepAliveTimeout: 60_000 }, listener);

describe('redirects', () => {
  test.each([307, 308])('%i on the same origin keeps method and body, and is asked for once', async (status) => {
    const server = await startScripted((visit) => {
      if (visit.path === '/mcp') visit.status(status, '', { Location: '/mcp/' });
      else echo(visit);
    });
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    expect(server.visits.filter((visit) => visit.path === '/mcp')).toHaveLength(1);
    expect(server.visits[1]).toMatchObject({ method: 'POST', path: '/mcp/', body: { method: 'initialize' } });
  });

  test.each([
    ['another origin', 307, 'http://127.0.0.1:9/mcp'],
    ['another scheme', 308, 'https://127.0.0.1/mcp'],
    ['GET instead of POST', 302, '/mcp/'],
    ['a page to log in', 303, '/login?secret=1'],
    ['credentials', 307, 'http://169.254.169.254/'],
    ['a user of another origin', 301, 'https://user:secret@other.example/mcp?key=secret#secret'],
  ])('to %s is not followed', async (_what, status, location) => {
    const server = await startScripted((visit) => visit.status(status, '', { Location: location }));
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    const target = new URL(location.replace('user:secret@', '').replace(/\?.*/, ''), server.url).href;
    const end = await connection.ended();
    expect(end).toMatchObject({
      code: 'upstream_refused',
      reason: `the server cannot be reached: it redirects elsewhere (${status})`,
      advice: `give ${target} if that is the right address`,
    });
    expect(connection.warnings).toEqual([`the server redirects to ${target} (${status}), which is not followed`]);
    expect(JSON.stringify([connection.warnings, end])).not.toContain('secret');
    expect(server.visits).toHaveLength(1);
  });

  test('without end is given up', async () => {
    const server = await startScripted((visit) => visit.status(307, '', { Location: `${visit.path}x` }));
    const { post, warnings } = client(server.url);
    expect(await post()).toMatchObject({
      kind: 'failed',
      reason: 'it redirects too often',
      isFinal: true,
    });
    expect(server.visits).toHaveLength(4);
    expect(warnings).toEqual([`the server redirects to ${server.url}xxxx (307), which is not followed`]);
  });

  test.each([undefined, 'javascript:alert(1)', 'http://'])(
    'without a usable target (%j) are reported',
    async (location) => {
      const server = await startScripted((visit) => visit.status(302, '', location === undefined ? {} : { location }));
      const connection = connect(server.url);
      connection.send({ id: 0, method: 'initialize' });
      expect((await connection.ended()).advice).toBeUndefined();
      expect(connection.warnings).toEqual(['the server redirects to nowhere (302), which is not followed']);
    },
  );
});

describe('connections', () => {
  test('are kept for the next request', async () => {
    const ports: (number | undefined)[] = [];
    const server = await startScripted((visit) => {
      ports.push(visit.response.socket?.remotePort);
      echo(visit);
    });
    const { post } = client(server.url);
    for (let count = 0; count < 3; count++) {
      const outcome = await post(); // oxlint-disable-line no-await-in-loop -- one after the other is the point
      if (outcome.kind !== 'response') throw new Error(outcome.reason);
      await once(outcome.response, 'close'); // oxlint-disable-line no-await-in-loop
    }
    expect(ports).toHaveLength(3);
    expect(new Set(ports).size).toBe(1);
  });

  test('that nobody uses are closed before the server would', async () => {
    const server = await startScripted(echo, { create: patient });
    await client(server.url).post();
    await eventually(() => expect(server.connections()).toBe(0), 4000);
  });

  test('on which a response is slow are not', async () => {
    const held: Visit[] = [];
    const server = await startScripted((visit) => {
      held.push(visit);
      const stream = visit.stream();
      setTimeout(() => stream.end('data: 1\n\n'), 2600);
    });
    const outcome = await client(server.url).post();
    if (outcome.kind !== 'response') throw new Error(outcome.reason);
    await once(outcome.response, 'close');
    expect(outcome.response.complete).toBe(true);
  });

  test('all end with the client', async () => {
    const server = await startScripted(({ stream }) => void stream(': open\n\n'));
    const { post, close } = client(server.url);
    await Promise.all([post(), post(), post()]);
    expect(server.connections()).toBe(3);
    await close();
    await eventually(() => expect(server.connections()).toBe(0));
    expect(await post()).toMatchObject({ kind: 'failed', isUnsent: true });
  });
});

describe('failures', () => {
  test('a server that does not speak HTTP', async () => {
    const port = await listenOnLoopback(net.createServer((socket) => socket.end('220 mail ready\r\n')));
    expect(await client(`http://127.0.0.1:${port}/`).post()).toMatchObject({
      kind: 'failed',
      reason: 'it does not speak HTTP',
      isUnsent: false,
    });
  });

  test('a server that does not speak TLS', async () => {
    const server = await startScripted(echo);
    expect(await client(`https://127.0.0.1:${server.port}/`).post()).toMatchObject({
      reason: 'it does not speak TLS; is its address http:// instead?',
      isUnsent: true,
    });
  });

  test('a handshake that takes too long', async () => {
    const port = await listenOnLoopback(net.createServer((socket) => atEnd('test', () => void socket.destroy())));
    expect(await client(`https://127.0.0.1:${port}/`, { connectTimeoutMs: 100 }).post()).toMatchObject({
      reason: 'it did not answer within 0.1 s',
      isUnsent: true,
    });
  });
});

/** What clients may know of it: no name, no address. */
const notCalled = {
  kind: 'failed',
  reason: 'its name resolves to an address to which mcp-expose sends no requests',
  isUnsent: true,
  isFinal: true,
};

const refusalOf = (host: string) => `${host} is a cloud metadata address, to which mcp-expose sends no requests`;

describe('names', () => {
  test('that change their address to that of credentials are not called', async () => {
    const server = await startScripted(echo);
    names.set('rebind.example', ['127.0.0.1', '169.254.169.254']);
    const { post, close } = client(`http://rebind.example:${server.port}/mcp`);
    expect(await post('{"id":1}')).toMatchObject({ kind: 'response', status: 200 });
    await close();
    const second = client(`http://rebind.example:${server.port}/mcp`);
    expect(await second.post()).toEqual(notCalled);
    expect(second.warnings).toEqual([refusalOf('rebind.example')]);
    expect(server.visits).toHaveLength(1);
  });

  test('are not even needed: such an address is not called either', () => {
    expect(() => client('http://169.254.169.254/latest/')).toThrow(refusalOf('169.254.169.254'));
  });

  test('of such addresses end an upstream at once, and are reported only to the user', async () => {
    names.set('evil.example', ['169.254.169.254']);
    const connection = connect('http://evil.example/mcp', { allowPlainHttp: true });
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_refused',
      reason: `the server cannot be reached: ${notCalled.reason}`,
    });
    expect(connection.warnings).toEqual([refusalOf('evil.example')]);
  });

  test('of this machine that lead to another are not called', async () => {
    names.set('app.localhost', ['10.0.0.1']);
    const { post, warnings } = client('http://app.localhost/mcp', { connectTimeoutMs: 500 });
    expect(await post()).toEqual(notCalled);
    expect(warnings).toEqual(['app.localhost does not resolve to this machine']);
  });
});

describe('TLS', () => {
  let key: string;
  let cert: string;

  beforeAll(() => {
    ({ key, cert } = selfSigned(['IP:127.0.0.1'], 'file'));
  });
  afterAll(() => names.clear());

  const start = () =>
    startScripted(echo, { create: (listener: RequestListener) => https.createServer({ key, cert }, listener) });

  test('with an authority of one’s own', async () => {
    const server = await start();
    const connection = await openSession(`https://127.0.0.1:${server.port}/mcp`, { ca: cert });
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toMatchObject({ result: {} });
  });

  test('without it, the certificate is not trusted', async () => {
    const server = await start();
    const connection = connect(`https://127.0.0.1:${server.port}/mcp`);
    connection.send({ id: 0, method: 'initialize' });
    const end = await connection.ended();
    expect(end).toMatchObject({ code: 'upstream_unreachable' });
    expect(end.reason).toMatch(/its certificate is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\); .*--upstream-ca$/);
    expect(server.visits).toEqual([]);
  });

  test('with a certificate for another host', async () => {
    const server = await start();
    names.set('other.example', ['127.0.0.1']);
    const connection = connect(`https://other.example:${server.port}/mcp`, { ca: cert });
    connection.send({ id: 0, method: 'initialize' });
    expect((await connection.ended()).reason).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });
});

const withCode = (code: string) => Object.assign(new Error(`${code} 10.0.0.1:80 db.internal`), { code });

describe('why there was no response', () => {
  test.each([
    ['ECONNREFUSED', 'connection refused'],
    ['ENOTFOUND', 'no such host'],
    ['HPE_INVALID_CONSTANT', 'it does not speak HTTP'],
    ['HPE_HEADER_OVERFLOW', 'the head of its answer is too large'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS; is its address http:// instead?'],
    ['EPROTO', 'it does not speak TLS; is its address http:// instead?'],
    ['ESOMETHING', 'ESOMETHING'],
  ])('%s is said without a name or an address', (code, words) => {
    expect(failureWords(withCode(code))).toBe(words);
    // Node tries every address of a name.
    expect(failureWords(new AggregateError([withCode(code), withCode('ETIMEDOUT')]))).toBe(words);
  });

  test('an address that is not called is not named', () => {
    const error = new ExposeError('upstream_url_refused', 'db.internal (10.0.0.1) is refused');
    expect(failureWords(error)).toBe('its name resolves to an address to which mcp-expose sends no requests');
  });

  test('of an unknown error the beginning is shown, without control characters', () => {
    expect(failureWords(new Error('\u001B[31mno\u001B[0m\nway'))).toBe('noway');
    expect(failureWords(new Error('x'.repeat(10_000)))).toBe('x'.repeat(200));
    expect(failureWords(new Error(`${'x'.repeat(199)}😀`))).toBe('x'.repeat(199));
    expect(failureWords('thrown words')).toBe('thrown words');
  });
});
