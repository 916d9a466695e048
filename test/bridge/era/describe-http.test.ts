// What is found out of servers that are called, and what they were sent.
import { expect, test } from 'vitest';
import { describeServer, type ServerDescription } from '../../../src/bridge/describe-server.ts';
import { HttpQuestions } from '../../../src/bridge/era/http-questions.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { StreamableHttpUpstream } from '../../../src/bridge/upstream/http/streamable-http.ts';
import { ExposeError } from '../../../src/errors.ts';
import { eventually } from '../../harness/eventually.ts';
import {
  afterHandshake,
  event,
  resultOf,
  startScripted,
  withoutStream,
  type Script,
  type ScriptedServer,
  type Visit,
} from '../upstream/http/http-world.ts';

interface Described {
  readonly server: ScriptedServer;
  /** Methods of the JSON-RPC requests that came. */
  readonly visits: () => string[];
  readonly description: Promise<ServerDescription>;
}

async function described(
  script: Script,
  { era = 'auto' as const, timeoutMs = 20_000 }: { era?: 'auto' | 'legacy' | 'modern'; timeoutMs?: number } = {},
): Promise<Described> {
  const server = await startScripted(script);
  const options = { url: server.url, headers: new Map(), maxMessageBytes: 1024 * 1024, onWarning() {} };
  const managed = new ManagedServer({
    connect: (_isWanted, spoken) => new (spoken === 'legacy' ? StreamableHttpUpstream : HttpQuestions)(options),
    isProcess: false,
    isShared: false,
    onWarning() {},
  });
  const description = describeServer({
    look: (use, spoken) => managed.look(use, spoken),
    carriesBoth: false,
    era,
    url: server.url,
    onWarning() {},
    timeoutMs,
    signal: new AbortController().signal,
    checkAlone: 'check the URL, and that the server runs',
    clientVersion: '9.9.9',
  });
  // Its failure is looked at later.
  description.catch(() => {});
  const visits = (): string[] =>
    server.visits.flatMap(({ body }) => (body?.id === undefined ? [] : [body.method ?? '']));
  return { server, visits, description };
}

const serverInfo = { 'io.modelcontextprotocol/serverInfo': { name: 'scripted', version: '2' } };
const discovered = (supportedVersions: string[]): object => ({
  resultType: 'complete',
  supportedVersions,
  capabilities: { tools: {} },
  _meta: serverInfo,
});

/** A server with one tool that answers requests of this revision, and any other with -32022. */
function modern(revision: string, answer: (visit: Visit, message: object) => void): Script {
  return (visit) => {
    const { body, headers } = visit;
    if (headers['mcp-protocol-version'] !== revision) {
      const data = { supported: [revision], requested: headers['mcp-protocol-version'] };
      const error = { code: -32022, message: 'unsupported protocol version', data };
      visit.json({ jsonrpc: '2.0', id: body?.id ?? null, error }, 400);
    } else if (body?.method === 'server/discover') answer(visit, resultOf(body.id, discovered([revision])));
    else answer(visit, resultOf(body?.id, { resultType: 'complete', tools: [{ name: 'one' }] }));
  };
}

const asJson = (visit: Visit, message: object): void => visit.json(message);

test.each([
  ['in JSON', '2026-07-28', asJson, ['server/discover', 'tools/list']],
  [
    'in event streams',
    '2026-07-28',
    (visit: Visit, message: object): void => void visit.stream(event(message)).end(),
    ['server/discover', 'tools/list'],
  ],
  ['of a later revision', '2027-01-31', asJson, ['server/discover', 'server/discover', 'tools/list']],
])('a modern server that answers %s is found to be one', async (_what, revision, answer, sent) => {
  const { server, visits, description } = await described(modern(revision, answer));
  expect(await description).toEqual({
    name: 'scripted',
    version: '2',
    era: 'modern',
    protocolVersion: revision,
    tools: 1,
  });
  expect(visits()).toEqual(sent);
  expect(server.visits.at(-1)).toMatchObject({
    method: 'POST',
    headers: { 'mcp-protocol-version': revision, 'mcp-method': 'tools/list' },
    body: { params: { _meta: { 'io.modelcontextprotocol/protocolVersion': revision } } },
  });
  await eventually(() => expect(server.connections()).toBe(0));
});

const legacy = (refuse: Script): Script =>
  withoutStream(
    afterHandshake((visit) => (visit.body?.method === 'server/discover' ? refuse(visit) : visit.status(202))),
  );
const notInitialized = { code: -32000, message: 'Bad Request: Server not initialized' };

test.each<[string, Script]>([
  ['says that it is not initialized', ({ json }) => json({ jsonrpc: '2.0', id: null, error: notInitialized }, 400)],
  [
    'does not know the method',
    ({ json, body }) => json({ jsonrpc: '2.0', id: body?.id, error: { code: -32601, message: 'no' } }),
  ],
  ['lists legacy revisions', ({ json, body }) => json(resultOf(body?.id, discovered(['2025-11-25'])))],
  ['finds nothing', ({ status }) => status(404, 'Cannot POST /mcp')],
  ['falls over', ({ status }) => status(500)],
  ['shows a page', ({ status }) => status(200, '<html>', { 'Content-Type': 'text/html' })],
  ['hangs up', ({ response }) => void response.destroy()],
  ['ends its answer early', ({ json }) => json([])],
])('a server that %s when it is asked for the modern era is asked for the legacy one', async (_what, refuse) => {
  const { visits, description } = await described(legacy(refuse));
  expect(await description).toMatchObject({ name: 'scripted', era: 'legacy', protocolVersion: '2025-11-25' });
  expect(visits()).toEqual(['server/discover', 'initialize']);
});

test.each([
  ['modern', legacy(({ json }) => json({ jsonrpc: '2.0', id: null, error: notInitialized }, 400)), 'legacy'],
  ['legacy', modern('2026-07-28', asJson), 'modern'],
] as const)(
  'a server that is said to be %s and is not is an error that names the other era',
  async (era, script, other) => {
    const { server, description } = await described(script, { era });
    await expect(description).rejects.toMatchObject({
      code: 'upstream_refused',
      message: expect.stringContaining(`the server at ${server.url} refused`),
      hints: [expect.stringContaining(`use --upstream-era ${other}, or omit the option`)],
    });
  },
);

test('a server that does not answer the question is asked for the legacy era when half of the time is over', async () => {
  const { visits, description } = await described(
    legacy(() => {}),
    { timeoutMs: 5000 },
  );
  expect(await description).toMatchObject({ era: 'legacy' });
  expect(visits()).toEqual(['server/discover', 'initialize']);
});

test.each([
  [401, 'upstream_refused', 'give them with --upstream-header'],
  [403, 'upstream_refused', 'give them with --upstream-header'],
  [404, 'upstream_refused', 'for a server of the older HTTP+SSE transport, use --sse'],
  [405, 'upstream_refused', 'for a server of the older HTTP+SSE transport, use --sse'],
  [503, 'upstream_unreachable', 'the server at'],
])('a server that answers everything with %i is an error, as it has been', async (status, code, words) => {
  const { description } = await described((visit) => visit.status(status));
  const message = expect.stringContaining(words);
  await expect(description).rejects.toMatchObject({ code, message });
});

test.each([
  ['legacy', 'legacy', ['initialize']],
  ['modern', 'upstream_refused', ['server/discover']],
] as const)('a server that is known to be %s is asked for nothing else', async (era, outcome, sent) => {
  const { visits, description } = await described(
    legacy(({ status }) => status(404)),
    { era },
  );
  const found = await description.then(
    (server) => server.era,
    (error: unknown) => (error instanceof ExposeError ? error.code : error),
  );
  expect([found, visits()]).toEqual([outcome, sent]);
});
