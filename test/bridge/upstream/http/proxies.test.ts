// Servers behind a proxy: `remote.example` is a name that only the proxy knows.
import type { RequestListener } from 'node:http';
import https from 'node:https';
import { beforeAll, describe, expect, test } from 'vitest';
import { selfSigned } from '../../../harness/certificate.ts';
import { startForwardProxy } from '../../../harness/forward-proxy.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import {
  afterHandshake,
  connect,
  event,
  openSession,
  resultOf,
  startScripted,
  withoutStream,
  type Script,
} from './http-world.ts';

let key: string;
let cert: string;

beforeAll(() => {
  ({ key, cert } = selfSigned(['DNS:remote.example'], 'file'));
});

const secure = (listener: RequestListener) => https.createServer({ key, cert }, listener);
const echo: Script = afterHandshake(withoutStream(({ json, body }) => json(resultOf(body?.id))));

const options = (proxy: string, more: NodeJS.ProcessEnv = {}) => ({
  env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, ...more },
  allowPlainHttp: true,
  ca: cert,
});

/** The older transport: answers come on the stream. */
function legacy(): Script {
  let stream: ReturnType<Parameters<Script>[0]['stream']> | undefined;
  const answer = afterHandshake(({ body, json }) => json(resultOf(body?.id)));
  return (visit) => {
    if (visit.method === 'GET') stream = visit.stream('event: endpoint\ndata: /messages\n\n');
    else answer({ ...visit, json: (value) => (visit.status(202), void stream?.write(event({ ...Object(value) }))) });
  };
}

describe.each(['https', 'http'] as const)('a server behind %s', (scheme) => {
  const start = (script: Script) => startScripted(script, scheme === 'https' ? { create: secure } : {});

  test('is reached through the proxy, over connections that are kept where nobody but the server can end them', async () => {
    const server = await start(echo);
    const proxy = await startForwardProxy();
    const connection = await openSession(`${scheme}://remote.example:${server.port}/mcp`, options(proxy.url));
    for (const id of [1, 2, 3]) {
      connection.send({ id, method: 'tools/call' });
      expect(await connection.answerTo(id)).toMatchObject({ id, result: {} }); // oxlint-disable-line no-await-in-loop -- one after the other
    }
    expect(server.visits[0]?.headers.host).toBe(`remote.example:${server.port}`);
    expect(server.visits[0]?.headers).not.toHaveProperty('proxy-authorization');
    expect(proxy.asked[0]).toMatch(
      scheme === 'https' ? /^remote\.example:\d+$/ : /^http:\/\/remote\.example:\d+\/mcp$/,
    );
    await eventually(() => expect(server.connections()).toBe(scheme === 'https' ? 1 : 0));
  });

  test('of the older transport, too', async () => {
    const server = await start(legacy());
    const proxy = await startForwardProxy();
    const url = `${scheme}://remote.example:${server.port}/sse`;
    const connection = connect(url, options(proxy.url), 'sse');
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toMatchObject({ id: 1, result: {} });
    expect(proxy.asked.length).toBeGreaterThan(0);
  });

  test('that NO_PROXY names is reached without it', async () => {
    const proxy = await startForwardProxy();
    const url = `${scheme}://remote.invalid/mcp`;
    const connection = connect(url, options(proxy.url, { NO_PROXY: 'remote.invalid' }));
    connection.send({ id: 0, method: 'initialize' });
    expect((await connection.ended()).reason).toMatch(
      /^the server cannot be reached: (?:no such host|the host name could)/,
    );
    expect(proxy.asked).toEqual([]);
  });

  test('is not reached where the proxy wants credentials: the message for the user names it, that for clients does not', async () => {
    const proxy = await startForwardProxy({ refuse: 407 });
    const connection = connect(`${scheme}://remote.example/mcp`, options(proxy.url.replace('//', '//me:secret@')));
    connection.send({ id: 0, method: 'initialize' });
    const { reason, advice = '' } = await connection.ended();
    expect(reason).toContain('407');
    expect(`${reason}${advice}`).not.toContain('secret');
    expect(reason).not.toContain('127.0.0.1');
    expect(advice).toContain(scheme === 'https' ? `the proxy ${new URL(proxy.url).host} answered` : '');
  });

  test('ends at once while the proxy still connects', async () => {
    const proxy = await startForwardProxy({ refuse: 'silent' });
    const connection = connect(`${scheme}://remote.example/mcp`, options(proxy.url));
    connection.send({ id: 0, method: 'initialize' });
    await within(1000, 'the end', connection.upstream.close());
    expect(connection.ends).toHaveLength(1);
  });
});

test('an address of the cloud’s credentials is not called through a proxy, either', async () => {
  const proxy = await startForwardProxy();
  const url = 'http://169.254.169.254/latest';
  expect(() => connect(url, { env: { HTTP_PROXY: proxy.url }, allowPlainHttp: true })).toThrow(
    /cloud metadata address/,
  );
  expect(proxy.asked).toEqual([]);
});
