// Where client and server are of the legacy era nothing is translated: byte by byte, ids apart, what passes is what would
// pass without mcp-expose.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createParser } from 'eventsource-parser';
import { expect, test } from 'vitest';
import { eventually, within } from '../harness/eventually.ts';
import { startExpose } from '../harness/expose.ts';
import type { JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { killIfAlive } from '../harness/processes.ts';
import { fixture, installedServer, temporaryDirectory } from '../harness/program.ts';
import { openRequest } from '../harness/raw-http.ts';
import { clientHeaders } from '../harness/raw-mcp.ts';

interface Line {
  id?: number;
  method: string;
  params?: object;
}

/** Sends one message and resolves with what came back for it, as text: the answer last, if it has one. */
type Send = (message: string) => Promise<string[]>;

const opening: Line[] = [
  {
    id: 0,
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: { sampling: {}, elicitation: {} },
      clientInfo: { name: 'same-bytes', version: '1e1' },
    },
  },
  { method: 'notifications/initialized' },
];

const call = (id: number, name: string, args: object, meta: object = {}): Line => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta: meta },
});

const conversations: Record<string, { server: string[]; lines: Line[] }> = {
  'a fixture that asks': {
    server: fixture('legacy-only'),
    lines: [
      { id: 1, method: 'tools/list' },
      call(2, 'echo', { text: 'grüße 🦊 "\\ \u2028' }),
      call(3, 'ask', {}),
      call(4, 'multi-round', { rounds: 3 }),
      call(5, 'slow', { steps: 5 }, { progressToken: 5, traceparent: '00-0-0-01' }),
      { id: 6, method: 'prompts/get', params: { name: 'greeting' } },
      { id: 7, method: 'resources/read', params: { uri: 'test://greeting' } },
      { id: 8, method: 'vendor/unknown', params: { x: 1 } },
      { id: 9, method: 'ping' },
    ],
  },
  'server-everything': {
    server: installedServer('mcp-server-everything'),
    lines: [
      { id: 1, method: 'tools/list' },
      call(2, 'echo', { message: 'hello' }),
      call(3, 'get-sum', { a: 1, b: 1.5 }),
      call(4, 'trigger-sampling-request', { prompt: 'this', maxTokens: 7 }),
      call(5, 'get-structured-content', { location: 'Chicago' }),
      { id: 6, method: 'resources/list' },
      { id: 7, method: 'prompts/list' },
      { id: 8, method: 'prompts/get', params: { name: 'simple-prompt' } },
      { id: 9, method: 'tools/call', params: { name: 'echo', arguments: {} } },
    ],
  },
};

/** What the client answers when it is asked, written as no program of ours writes JSON. */
function answerTo({ id, method }: JsonRpcMessage): string {
  const result =
    method === 'sampling/createMessage'
      ? '{"role":"assistant","model":"m","content":{"type":"text","text":"words"}}'
      : '{ "action":"accept", "content":{"name":"\\u0041da"} }';
  return `{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`;
}

/** Ids and tokens are the bridge's own on its way to the server. */
const withoutIds = (text: string) => text.replaceAll(/"(id|progressToken|requestId)":("[^"]*"|\d+)/g, '"$1":0');

const isNews = (text: string) => /"method":"notifications\/[a-z]+\/list_changed"/.test(text);

/** Has the conversation, and resolves with what the client got. */
async function converse(lines: readonly Line[], send: Send): Promise<string[]> {
  const got: string[] = [];
  for (const line of [...opening, ...lines]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    got.push(...(await send(JSON.stringify({ jsonrpc: '2.0', ...line }))));
  }
  return got;
}

/** On standard input and output, as a desktop application does. */
function directly([command = '', ...args]: string[]): { send: Send; said: string[] } {
  const server = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  atEnd('test', () => {
    if (server.pid !== undefined) killIfAlive(server.pid);
  });
  const said: string[] = [];
  let got: string[] = [];
  const waiting: { id?: unknown; resolve?: () => void } = {};
  createInterface({ input: server.stdout }).on('line', (line) => {
    got.push(line);
    const message = parseJson<JsonRpcMessage>(line);
    if (message.method !== undefined && message.id !== undefined) {
      said.push(answerTo(message));
      server.stdin.write(`${answerTo(message)}\n`);
    } else if (message.method === undefined && message.id === waiting.id) waiting.resolve?.();
  });
  const send: Send = async (text) => {
    const { id } = parseJson<JsonRpcMessage>(text);
    const answered = new Promise<void>((resolve) => Object.assign(waiting, { id, resolve }));
    said.push(text);
    server.stdin.write(`${text}\n`);
    if (id !== undefined) await within(20_000, `an answer to ${text}`, answered);
    const all = got;
    got = [];
    return all;
  };
  return { send, said };
}

/** Through mcp-expose, over HTTP. */
function through(url: string, token: string): Send {
  const headers = clientHeaders(token);
  const post = async (body: string): Promise<string[]> => {
    const response = await openRequest(url, { method: 'POST', headers, body });
    const session = response.headers['mcp-session-id'];
    if (typeof session === 'string' && !headers.some(([name]) => name === 'Mcp-Session-Id')) {
      headers.push(['Mcp-Session-Id', session], ['MCP-Protocol-Version', '2025-11-25']);
    }
    const got: string[] = [];
    const answers: Promise<unknown>[] = [];
    const parser = createParser({
      onEvent({ data }) {
        if (data === '') return;
        got.push(data);
        const message = parseJson<JsonRpcMessage>(data);
        if (message.method !== undefined && message.id !== undefined) answers.push(post(answerTo(message)));
      },
    });
    const isStream = response.headers['content-type']?.startsWith('text/event-stream') === true;
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) {
      if (isStream) parser.feed(String(chunk));
      else text += String(chunk);
    }
    await Promise.all(answers);
    return text === '' ? got : [text];
  };
  return post;
}

test.each(Object.entries(conversations))('%s', async (_what, { server, lines }) => {
  const direct = directly(server);
  const expected = await converse(lines, direct.send);

  const folder = temporaryDirectory();
  const exposed = await startExpose({ server: fixture('wire-tap', folder, ...server) });
  const got = await converse(lines, through(exposed.url, exposed.token));

  // News of the server goes to a stream of its own.
  const answers = (texts: string[]) => texts.filter((text) => !isNews(text)).map(withoutIds);
  expect(answers(got)).toEqual(answers(expected));
  expect(expected.length).toBeGreaterThan(lines.length);

  const received = await eventually(() => {
    const texts = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
    const ours =
      texts
        .find((text) => text.includes('same-bytes'))
        ?.trimEnd()
        .split('\n') ?? [];
    expect(ours).toHaveLength(direct.said.length);
    return ours;
  });
  expect(received.map(withoutIds)).toEqual(direct.said.map(withoutIds));
});
