// Random inputs at every place where somebody else's bytes come in. A failure prints its seed; MCP_EXPOSE_FUZZ_SEED makes
// the same inputs again, and `npm run fuzz` makes more of them (MCP_EXPOSE_FUZZ_SECONDS for each place).
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { fixture } from '../harness/program.ts';
import type { Random } from '../harness/random.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { campaignTimeoutMs, noHarm, runCampaign } from './fuzz/campaign.ts';
import { createFuzzingServer } from './fuzz/fuzzing-server.ts';
import { httpVocabulary, sendHttpInput, type HttpTarget } from './fuzz/http-bytes.ts';
import { sendAgentInputs } from './fuzz/agent-frames.ts';
import { mutant } from './fuzz/mutation.ts';
import { lineVocabulary } from './fuzz/rpc-bytes.ts';

/** Addresses of this machine, so that no limit for one origin keeps the inputs out. */
const anyLoopback = (random: Random): string => `127.0.0.${2 + random.below(200)}`;

/** One process for all sessions, of which the inputs open many. */
const shared = { server: fixture('echo'), args: ['--isolation', 'shared'] };

test('the listener', { timeout: campaignTimeoutMs }, async () => {
  const exposed = await startExpose(shared);
  const { port, host } = new URL(exposed.localUrl);
  const victim = await openSession(exposed.url, exposed.token);
  const target: HttpTarget = { port: Number(port), base: '', host, token: exposed.token, sessionId: victim.id };
  const vocabulary = httpVocabulary(target);
  const harm = await runCampaign({
    name: 'the listener',
    programs: [exposed],
    client: exposed,
    attack: (random) => sendHttpInput(random, target, vocabulary),
  });
  expect(harm).toEqual(noHarm);
});

test("the relay's public port", { timeout: campaignTimeoutMs }, async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { ...shared, args: [...shared.args, '--name', 'files'] });
  const victim = await openSession(exposed.url, exposed.token);
  const target = { port: relay.port, base: '/files', host: new URL(relay.url).host, token: exposed.token };
  const vocabulary = httpVocabulary({ ...target, sessionId: victim.id });
  const harm = await runCampaign({
    name: "the relay's public port",
    programs: [relay, exposed],
    client: exposed,
    attack: (random) => sendHttpInput(random, { ...target, sessionId: victim.id }, vocabulary, anyLoopback(random)),
  });
  expect(harm).toEqual(noHarm);
});

test("agents' frames", { timeout: campaignTimeoutMs }, async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, shared);
  const harm = await runCampaign({
    name: "agents' frames",
    programs: [relay, exposed],
    client: exposed,
    batch: 10,
    attack: (random) => sendAgentInputs(random, { relayUrl: relay.url, from: anyLoopback(random), count: 10 }),
  });
  expect(harm).toEqual(noHarm);
});

/** Answers as a server should, and prints what comes from a port of ours once it has been called with `fuzz`. */
const puppet = (port: number): string => `
  const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined || method === undefined) return;
    if (method === 'initialize') {
      const { protocolVersion } = params;
      say({ id, result: { protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo: { name: 'puppet', version: '1' } } });
    } else if (method === 'tools/call' && params.name === 'echo') {
      say({ id, result: { content: [{ type: 'text', text: params.arguments.text }] } });
    } else if (method === 'tools/call') {
      require('node:net').connect(${port}, '127.0.0.1').on('error', () => {}).pipe(process.stdout);
    } else say({ id, result: { tools: [] } });
  });
`;

test('child output', { timeout: campaignTimeoutMs }, async () => {
  const children: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    children.push(socket);
  });
  const port = await listenOnLoopback(server);
  const exposed = await startExpose({ server: [process.execPath, '-e', puppet(port)] });
  /** The output of a process whose session waits for answers and listens. */
  async function victim(): Promise<Socket> {
    const child = children.at(-1);
    if (child?.writable === true) return child;
    const connected = once(server, 'connection');
    const session = await openSession(exposed.url, exposed.token);
    await session.listen();
    for (const id of [2, 3, 'x'])
      void session.call(id, 'tools/call', { name: 'fuzz', _meta: { progressToken: id } }).catch(() => {});
    await within(10_000, 'the process to be connected', connected);
    return victim();
  }
  const harm = await runCampaign({
    name: 'child output',
    programs: [exposed],
    client: exposed,
    batch: 20,
    concurrency: 1,
    async attack(random) {
      const child = await victim();
      const lines = Array.from({ length: 20 }, () =>
        Buffer.concat([mutant(random, lineVocabulary), Buffer.from('\n')]),
      );
      if (!child.write(Buffer.concat(lines))) await Promise.race([once(child, 'drain'), once(child, 'close')]);
    },
  });
  expect(harm).toEqual(noHarm);
});

test.each(['http', 'sse'] as const)('event streams of --%s', { timeout: campaignTimeoutMs }, async (kind) => {
  const upstream = await createFuzzingServer();
  atEnd('test', () => upstream.close());
  const exposed = await startExpose({ running: { kind, url: `${upstream.url}/${kind === 'sse' ? 'sse' : 'mcp'}` } });
  const harm = await runCampaign({
    name: `event streams of --${kind}`,
    programs: [exposed],
    client: exposed,
    batch: 20,
    parts: 2,
    attack: (random) => upstream.attack(random, exposed, 20),
  });
  expect(harm).toEqual(noHarm);
});
