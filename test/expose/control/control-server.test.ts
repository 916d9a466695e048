import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { TokenStore } from '../../../src/auth/token-store.ts';
import { openControlServer } from '../../../src/expose/control/control-server.ts';
import { askRun, socketOf } from '../../../src/expose/control/runs.ts';
import { createDeferred } from '../../../src/platform/deferred.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { temporaryDirectory } from '../../harness/program.ts';

const describeRun = () => ({
  pid: process.pid,
  servers: ['files'],
  publicUrl: null,
  localUrl: 'http://127.0.0.1:1/mcp',
});

async function control(hasTokens = true, saved: () => Promise<boolean> = async () => true) {
  const env = { XDG_CONFIG_HOME: temporaryDirectory() };
  const store = new TokenStore();
  const server = await openControlServer({
    env,
    describe: describeRun,
    tokens: hasTokens ? Object.assign(store, { saved }) : undefined,
  });
  atEnd('test', () => server.close());
  return { store, socket: socketOf(process.pid, env) };
}

/** A request that our command line would not send. */
async function send(socketPath: string, method: string, path: string, body?: string) {
  const asked = request({ socketPath, method, path });
  asked.end(body);
  const answered: Promise<IncomingMessage[]> = once(asked, 'response');
  const [[response]] = await Promise.all([answered, once(asked, 'finish')]);
  if (response === undefined) throw new Error('no response');
  return { status: response.statusCode, ...parseJson<{ code?: string; message?: string }>(await text(response)) };
}

test('adds a token with limits, lists them, and keeps them when it is rotated', async () => {
  const { store, socket } = await control();
  const limits = { maxCalls: 3, allowTools: ['read_*'], denyPrompts: ['é'], readOnly: true };
  expect(await askRun(socket, 'PUT', '/tokens/anna%20b', limits)).toMatchObject({ name: 'anna b' });
  expect(await askRun(socket, 'GET', '/tokens')).toMatchObject([{ name: 'anna b', state: 'valid', ...limits }]);
  const rotated = await askRun(socket, 'POST', '/tokens/anna%20b/rotate');
  expect(store.find(parseJson<{ token: string }>(JSON.stringify(rotated)).token)).toMatchObject({
    rules: { allowTools: ['read_*'], denyPrompts: ['é'], readOnly: true },
  });
  expect(store.list()).toMatchObject([{ ...limits, calls: 0 }]);
});

test.each([true, false])('answers when the change is on disk (%j), after it has taken effect', async (isSaved) => {
  const disk = createDeferred<boolean>();
  const asked = createDeferred<void>();
  const { store, socket } = await control(true, () => {
    asked.resolve();
    return disk.promise;
  });
  const token = store.add('anna');
  let hasAnswered = false;
  const answered = askRun(socket, 'DELETE', '/tokens/anna').finally(() => (hasAnswered = true));
  await asked.promise;
  expect(store.find(token)).toMatchObject({ code: 'token_revoked' });
  // A request that is not about a change is answered meanwhile.
  await askRun(socket, 'GET', '/tokens');
  expect(hasAnswered).toBe(false);
  disk.resolve(isSaved);
  expect(await answered).toEqual(isSaved ? { name: 'anna' } : { name: 'anna', isSaved: false });
});

describe('what another version or a stranger sends', () => {
  test.each([
    ['no body', '', 'the limits of the token cannot be read'],
    ['no JSON', '{"allowTools":["a"]', 'the limits of the token cannot be read'],
    ['null', 'null', 'the limits of the token cannot be read'],
    ['a list', '[{"readOnly":true}]', 'the limits of the token cannot be read'],
    ['a number', '7', 'the limits of the token cannot be read'],
    [
      'a limit of a later version',
      '{"allowArguments":["a"]}',
      'this version of mcp-expose has no limit "allowArguments" for tokens',
    ],
    [
      'a prototype',
      '{"__proto__":{"readOnly":true}}',
      'this version of mcp-expose has no limit "__proto__" for tokens',
    ],
    ['a rule of another form', '{"allowTools":"a"}', 'the limit allowTools of a token takes a list of globs'],
    ['long rules', JSON.stringify({ denyTools: ['x'.repeat(10_000)] }), 'the limits of a token are longer than 8 KiB'],
    [
      'a long body',
      JSON.stringify({ denyTools: ['x'.repeat(5_000_000)] }),
      'the limits of the token are longer than 64 KiB',
    ],
  ])('%s: an error, and no token', async (_what, body, message) => {
    const { store, socket } = await control();
    expect(await send(socket, 'PUT', '/tokens/anna', body)).toMatchObject({ status: 400, code: 'usage', message });
    expect(store.list()).toEqual([]);
  });

  test.each([
    // The first versions added a token so, and knew no rules.
    ['POST', '/tokens/anna', 'this version of mcp-expose does not know the request'],
    ['PUT', '/tokens', 'this version of mcp-expose does not know the request'],
    ['PUT', '/tokens/anna/rotate', 'this version of mcp-expose does not know the request'],
    ['GET', '/', 'this version of mcp-expose does not know the request'],
    ['PUT', '/tokens/%FF', 'the name of the token cannot be read'],
    ['DELETE', '/tokens/anna', 'no valid token has the name anna'],
    ['POST', '/tokens/anna/rotate', 'no valid token has the name anna'],
  ])('%s %s', async (method, path, message) => {
    const { store, socket } = await control();
    expect(await send(socket, method, path)).toMatchObject({ status: 400, code: 'usage', message });
    expect(store.list()).toEqual([]);
  });

  test('a name that a token cannot have', async () => {
    const { store, socket } = await control();
    const message = String.raw`a token cannot have the name "\u001b\u202e"`;
    expect(await send(socket, 'PUT', '/tokens/%1B%E2%80%AE', '{}')).toMatchObject({
      status: 400,
      code: 'usage',
      message,
    });
    expect(store.list()).toEqual([]);
  });

  test('a run without tokens has none to change', async () => {
    const { socket } = await control(false);
    await expect(askRun(socket, 'PUT', '/tokens/anna', {})).rejects.toThrow('this run requires no token');
  });
});
