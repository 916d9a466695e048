import { describe, expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { parseJson } from '../../../harness/parse-json.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { behaviours, expectGone, infoOf, withStubbornChild } from '../../../platform/process/node-process.ts';
import { fixtureCommand, nodeCommand, startStdio, type StdioServer } from './stdio-server.ts';

const ping = (id: number | string) => ({ id, method: 'ping' });
const callTool = (id: number, name: string, args: object = {}) => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

async function toolText({ send, answerTo }: StdioServer, id: number, name: string, args?: object): Promise<string> {
  send(callTool(id, name, args));
  const { bytes } = await answerTo(id);
  const { result } = parseJson<{ result: { content: { text: string }[] } }>(bytes.toString());
  return result.content.map(({ text }) => text).join('');
}

describe('messages', () => {
  test('may be sent at once, and come back in order', async () => {
    const server = startStdio(fixtureCommand('echo'));
    expect(server.send(ping(1))).toBe(true);
    expect(server.send(ping('two'))).toBe(true);
    await server.answerTo('two');
    expect(server.messages).toMatchObject([
      { kind: 'response', id: 1 },
      { kind: 'response', id: 'two' },
    ]);
  });

  test('of a megabyte go through both ways', async () => {
    const server = startStdio(fixtureCommand('echo'));
    const text = 'é'.repeat(512 * 1024);
    expect(await toolText(server, 1, 'echo', { text })).toBe(text);
  });

  test('that are said just before the exit still arrive, the last without its line break too', async () => {
    const server = startStdio(
      nodeCommand(`
        const filling = 'x'.repeat(200_000);
        for (let id = 0; id < 20; id++) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: { filling } }) + '\\n');
        process.stdout.write('{"jsonrpc":"2.0","id":"last","result":{}}', () => process.exit(0));
      `),
      { asked: [...Array(20).keys(), 'last'] },
    );
    await server.ended;
    expect(server.messages.map((message) => 'id' in message && message.id)).toEqual([...Array(20).keys(), 'last']);
  });

  test('are not read while paused, and all of them afterwards', async () => {
    const server = startStdio(
      nodeCommand(`
        process.stdin.once('data', () => {
          process.stdout.write('{"jsonrpc":"2.0","id":1,"result":{}}\\n', () => console.error('said'));
        });
      `),
    );
    server.upstream.pause();
    server.send(ping(1));
    await server.stderrLine(/said/);
    await new Promise(setImmediate);
    expect(server.messages).toEqual([]);
    server.upstream.resume();
    await server.answerTo(1);
  });
});

describe('what the server gets', () => {
  test('is the environment that was given and nothing else, and its folder', async () => {
    const cwd = temporaryDirectory();
    const server = startStdio(fixtureCommand('environment', 'a b', '$HOME'), { env: { A: 'é\n"', PATH: '/bin' }, cwd });
    expect(JSON.parse(await toolText(server, 1, 'env'))).toEqual({ A: 'é\n"', PATH: '/bin' });
    expect(await toolText(server, 2, 'cwd')).toBe(cwd);
    expect(JSON.parse(await toolText(server, 3, 'argv'))).toEqual(['a b', '$HOME']);
  });

  test('is the shell, where only a shell can read the line', async () => {
    const line = `echo "ready in $PLACE" >&2 | cat; exec "$NODE" -e "${behaviours.endsWithInput.replaceAll('"', '\\"')}"`;
    const server = startStdio(
      { kind: 'shell', line },
      { env: { PLACE: 'here', NODE: process.execPath, PATH: process.env['PATH'] ?? '' } },
    );
    await server.stderrLine(/^ready in here$/);
    await server.upstream.close();
    expect(server.ends).toMatchObject([{ code: 'upstream_exited', exitCode: 0 }]);
  });
});

describe('ending', () => {
  test('a server that honours the end of its input ends by itself, and the end is told once', async () => {
    const server = startStdio(nodeCommand(behaviours.endsWithInput), { graceMs: 60_000 });
    await server.upstream.close();
    await server.upstream.close();
    expect(server.ends).toEqual([
      { reason: 'the server exited with code 0', code: 'upstream_exited', exitCode: 0, stderr: '' },
    ]);
    expect(server.guarding).toEqual(['guard', 'release']);
    expect(server.send(ping(1))).toBe(false);
  });

  test('a server that ignores SIGTERM is killed', async () => {
    const server = startStdio(nodeCommand(`${behaviours.ignoresSigterm} console.error('up')`), { graceMs: 200 });
    await server.stderrLine(/up/);
    await server.upstream.close();
    expect(server.ends).toMatchObject([{ reason: 'the server was ended by SIGKILL', signal: 'SIGKILL' }]);
  });

  test('a server that died is told of with its exit code and its last words', async () => {
    const server = startStdio(fixtureCommand('exit-at-start'));
    expect(await server.ended).toEqual({
      reason: 'the server exited with code 7',
      code: 'upstream_exited',
      exitCode: 7,
      stderr: 'cannot open /no/such/database',
    });
    expect(server.send(ping(1))).toBe(false);
  });

  test('a server that was killed is told of with the signal', async () => {
    const server = startStdio(fixtureCommand('echo'));
    process.kill(server.pid(), 'SIGKILL');
    const end = await server.ended;
    expect(end).toEqual({
      reason: 'the server was ended by SIGKILL',
      code: 'upstream_exited',
      signal: 'SIGKILL',
      stderr: '',
    });
  });

  test('a server whose own child holds its output open is not waited for, and the child is ended', async () => {
    const child = `${behaviours.ignoresSigterm} console.error('pid ' + process.pid)`;
    const server = startStdio(
      nodeCommand(`
        require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' });
        process.stdin.once('data', () => process.exit(4));
      `),
      { graceMs: 300 },
    );
    const grandchild = infoOf(Number((await server.stderrLine(/^pid \d+$/)).slice(4)));
    server.send(ping(1));
    expect(await server.ended).toMatchObject({ exitCode: 4 });
    await server.upstream.close();
    await eventually(() => expectGone(grandchild));
  });

  test('what a polite server leaves behind is ended', async () => {
    const server = startStdio(
      nodeCommand(
        withStubbornChild(behaviours.endsWithInput).replace('console.log(child.pid)', 'console.error(child.pid)'),
      ),
      {
        graceMs: 500,
      },
    );
    const grandchild = infoOf(Number(await server.stderrLine(/^\d+$/)));
    await server.upstream.close();
    await eventually(() => expectGone(grandchild));
    expect(server.ends).toMatchObject([{ exitCode: 0 }]);
  });

  test('a server that closes its output can answer nothing, so it is ended', async () => {
    const server = startStdio(nodeCommand(`require('node:fs').closeSync(1); ${behaviours.endsWithInput}`));
    expect(await server.ended).toMatchObject({ exitCode: 0 });
  });

  test('a server that closes its input does no harm', async () => {
    const server = startStdio(
      nodeCommand(`require('node:fs').closeSync(0); console.error('closed'); setTimeout(() => {}, 60_000);`),
      {
        graceMs: 100,
      },
    );
    await server.stderrLine(/closed/);
    // The first write finds the pipe broken, which is told later.
    for (let id = 0; id < 3; id++) server.send(ping(id));
    await eventually(() => expect(server.send(ping(9))).toBe(false));
    await server.upstream.close();
    expect(server.ends).toHaveLength(1);
  });

  test('closing while the output is paused does not wait for ever', async () => {
    const server = startStdio(
      nodeCommand(`
        process.stdin.resume().on('end', () => {
          process.stdout.write('x'.repeat(500_000) + '\\n', () => process.exit(0));
        });
        console.error('up');
      `),
      { graceMs: 60_000 },
    );
    await server.stderrLine(/up/);
    server.upstream.pause();
    await server.upstream.close();
    expect(server.ends).toMatchObject([{ exitCode: 0 }]);
  });
});

describe('a line that is no message', () => {
  test('is reported, without control characters, and skipped', async () => {
    const server = startStdio(
      nodeCommand(
        `process.stdout.write('\\u001b[31mbooting\\u001b[0m\\u0007\\n\\n\\r\\n{"jsonrpc":"2.0","id":1,"result":{}}\\n');`,
      ),
      { asked: [1] },
    );
    await server.answerTo(1);
    expect(server.warnings).toEqual([
      'the server wrote a line to stdout that is not a JSON-RPC message (the message is not valid JSON), it was skipped: booting',
    ]);
  });

  test('is reported ten times at most, and shown in part', async () => {
    const server = startStdio(
      nodeCommand(
        `process.stdout.write(('x'.repeat(5000) + '\\n').repeat(50) + '{"jsonrpc":"2.0","id":1,"result":{}}\\n');`,
      ),
      { asked: [1] },
    );
    await server.answerTo(1);
    expect(server.warnings).toHaveLength(10);
    expect(server.warnings.filter((warning) => warning.endsWith('; further ones are only counted'))).toHaveLength(1);
    expect(Math.max(...server.warnings.map(({ length }) => length))).toBeLessThan(400);
  });

  test('in a batch costs its own request and no other', async () => {
    const batch = [
      { jsonrpc: '2.0', id: 1, result: {} },
      { id: 2, result: {} },
      { jsonrpc: '2.0', id: 3, result: {} },
    ];
    const server = startStdio(
      nodeCommand(`console.log(${JSON.stringify(JSON.stringify(batch))}); process.stdin.resume();`),
      { asked: [1, 2, 3] },
    );
    // It may be a line of a log, so for a moment a better answer is waited for.
    await server.answerTo(2);
    expect(server.messages.map((message) => 'id' in message && message.id)).toEqual([1, 3, 2]);
    expect(server.messages.map((message) => message.kind === 'response' && message.failed)).toEqual([
      false,
      false,
      true,
    ]);
    expect(server.warnings).toHaveLength(1);
  });

  test('since the server has not come to its end fails nothing: the end itself is told', async () => {
    const line = '{"jsonrpc":"2.0","id":7,"result":';
    const server = startStdio(
      nodeCommand(`process.stdout.write(${JSON.stringify(`${line}{`)}, () => process.exit(3));`),
    );
    expect(await server.ended).toMatchObject({ exitCode: 3 });
    expect([server.messages, server.warnings]).toEqual([
      [],
      [
        `the server wrote a line to stdout that is not a JSON-RPC message (it is not complete), it was skipped: ${line} …`,
      ],
    ]);
  });

  test('is no reason to miss what stands around it', async () => {
    const server = startStdio(fixtureCommand('garbage-on-stdout'));
    for (const id of [1, 2, 3]) server.send(callTool(id, 'echo', { text: `${id}` }));
    await Promise.all([1, 2, 3].map((id) => server.answerTo(id)));
    expect(server.messages).toHaveLength(3);
  });
});

describe('a message that is too long', () => {
  test('fails the request that it answers, and no other', async () => {
    const server = startStdio(fixtureCommand('huge-result'), { maxMessageBytes: 100_000 });
    server.send(callTool(1, 'huge', { bytes: 1_000_000 }));
    const { json } = await server.answerTo(1);
    expect(json).toMatchObject({
      id: 1,
      error: { code: -32603, data: { reason: 'message_too_large' } },
    });
    expect(server.warnings).toHaveLength(1);
    expect(await toolText(server, 2, 'echo', { text: 'still here' })).toBe('still here');
  });

  test('with an id that is no JSON is dropped', async () => {
    const server = startStdio(
      nodeCommand(`
        process.stdout.write('{"jsonrpc":"2.0","id":007,"result":"' + 'x'.repeat(50_000) + '"}\\n{"jsonrpc":"2.0","id":1,"result":{}}\\n');
      `),
      { maxMessageBytes: 10_000, asked: [1, 2] },
    );
    await server.answerTo(1);
    expect(server.messages).toHaveLength(1);
  });
});

describe('an answer that cannot be read fails its call instead of leaving it to wait', () => {
  test.each([
    ['not UTF-8', String.raw`Buffer.from('{"jsonrpc":"2.0","id":7,"result":"\xff"}\n', 'latin1')`],
    ['not JSON', String.raw`'{"jsonrpc":"2.0","id":7,"result":{,}}\n'`],
    ['nested too deep', String.raw`'{"jsonrpc":"2.0","id":7,"result":' + '['.repeat(600) + ']'.repeat(600) + '}\n'`],
    ['a result and an error', String.raw`'{"jsonrpc":"2.0","id":7,"result":{},"error":{}}\n'`],
    ['of no version', String.raw`'{"id":7,"result":{}}\n'`],
    ['with its id at the end', String.raw`'{"result":{,},"jsonrpc":"2.0","id":7}\n'`],
    ['large and not JSON', String.raw`'{"jsonrpc":"2.0","id":7,"result":"' + 'x'.repeat(500_000) + '\\x"}\n'`],
    [
      'large and not UTF-8',
      String.raw`Buffer.from('{"jsonrpc":"2.0","id":7,"result":"' + 'x'.repeat(500_000) + '\xff"}\n', 'latin1')`,
    ],
  ])('%s', async (_what, line) => {
    const server = startStdio(nodeCommand(`process.stdout.write(${line}); process.stdin.resume();`), {
      asked: [7],
    });
    const { json } = await server.answerTo(7);
    expect(json['error']).toMatchObject({ code: -32603, data: { reason: 'message_unreadable' } });
    expect(server.warnings).toHaveLength(1);
  });

  test('but a large one that can is handed on byte for byte', async () => {
    const text = 'é"\\\n\t\u0001€😀'.repeat(50_000);
    const server = startStdio(fixtureCommand('echo'));
    server.send(callTool(1, 'echo', { text }));
    const { bytes, json } = await server.answerTo(1);
    expect(JSON.parse(bytes.toString())).toMatchObject({ id: 1, result: { content: [{ text }] } });
    // Nobody needs what is in it.
    expect(json).toMatchObject({ id: 1, result: { content: [{ text: null }] } });
    expect(server.warnings).toEqual([]);
  });

  test('an error of null beside a result is no error', async () => {
    const line = String.raw`'{"jsonrpc":"2.0","id":7,"result":{},"error":null}\n'`;
    const server = startStdio(nodeCommand(`process.stdout.write(${line}); process.stdin.resume();`), {
      asked: [7],
    });
    expect(await server.answerTo(7)).toMatchObject({ kind: 'response', failed: false });
    expect(server.warnings).toEqual([]);
  });
});

describe('standard error', () => {
  test('is handed on line by line, without control characters', async () => {
    const server = startStdio(fixtureCommand('paints-on-stderr'));
    expect(await server.stderrLine(/red alert/)).toBe('red alertmcp-expose: faked');
    await server.upstream.close();
    expect(server.ends[0]?.stderr).toBe('red alertmcp-expose: faked');
  });
});
