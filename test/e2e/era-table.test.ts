// Every client works with every server. Each cell of the table of docs/eras.md is proved here, by the official clients and
// by the fixtures that have the same tools in both eras.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { pairs, rows, withErasTable } from '../../scripts/eras-table.js';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { failureOf } from '../harness/failure-of.ts';
import { gate } from '../harness/gate.ts';
import { modernClient } from '../harness/modern-client.ts';
import { fixture } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { type ClientHandlers, connectV1, connectV2, progressOf, type SdkClient } from '../harness/sdk-clients.ts';
import { taskClient } from '../harness/task-client.ts';
import { startTcpProxy } from '../harness/tcp-proxy.ts';

type Era = 'legacy' | 'modern';

interface Pair {
  client: Era;
  server: Era;
  exposed: Exposed;
  /** In front of a server with other tools. */
  odd: Exposed;
}

const greeting = 'test://greeting';

/** Who answers every question. */
const answers: ClientHandlers = {
  elicit: (message) => ({ name: `told ${message}` }),
  sample: (prompt) => `words for ${prompt}`,
  roots: ['file:///home/ada'],
};

function connect({ client, exposed }: Pair, handlers: ClientHandlers = answers, url = exposed.url): Promise<SdkClient> {
  return client === 'modern'
    ? connectV2(url, exposed.token, { ...handlers, era: 'modern' })
    : connectV1(url, exposed.token, handlers);
}

const logsOf = (client: SdkClient): number =>
  client.notifications().filter(({ method }) => method === 'notifications/message').length;

const cancelledCalls = async (client: SdkClient): Promise<number> => Number(await client.call('cancelled-calls'));

/** A call whose connection is cut, and which ends after that. */
async function survives(pair: Pair): Promise<boolean> {
  const proxy = await startTcpProxy(pair.exposed.url);
  const client = await connect(pair, answers, proxy.through(pair.exposed.url));
  const before = await cancelledCalls(client);
  const isCut = gate();
  const onprogress = () => {
    proxy.cut();
    isCut.open();
  };
  const outcome = failureOf(client.call('slow', { steps: 1, hold: true }, { onprogress }));
  await isCut.opened;
  if (pair.client === 'modern') {
    // A connection that is lost is a call that is cancelled; the official client waits for it all the same.
    await eventually(async () => expect(await cancelledCalls(client)).toBe(before + 1));
    return false;
  }
  await eventually(() => client.call('release')); // a connection that was cut may be used once more
  return (await outcome) === 'no error, but released';
}

async function isCancelled(pair: Pair): Promise<boolean> {
  const client = await connect(pair);
  const before = await cancelledCalls(client);
  const ended = new AbortController();
  const held = client.call('slow', { steps: 1, hold: true }, { signal: ended.signal, onprogress: () => ended.abort() });
  await expect(held).rejects.toThrow('abort');
  await eventually(async () => expect(await cancelledCalls(client)).toBe(before + 1));
  return true;
}

/** What the list of tools says about its age, by a raw client: the official ones add it where it is missing. */
async function listOf({ client, odd }: Pair): Promise<Record<string, unknown>> {
  const { result = {} } =
    client === 'modern'
      ? await modernClient(odd.url, odd.token).request(1, 'tools/list')
      : await (await openSession(odd.url, odd.token)).call(1, 'tools/list');
  return result;
}

/** Feature → whether it works. */
const proofs: Record<string, (pair: Pair) => Promise<boolean>> = {
  'tools, resources, prompts': async (pair) => {
    const client = await connect(pair);
    expect(client.era()).toBe(pair.client);
    expect(client.serverName()).toBe('fixture-eras');
    expect(client.instructions()).toBe('Ask nothing but questions');
    expect(await client.tools()).toContain('echo');
    expect(await client.call('era')).toBe(pair.server);
    expect(await client.call('echo', { text: 'grüße 🦊' })).toBe('grüße 🦊');
    expect(await client.resources()).toEqual([greeting]);
    expect(await client.readResource(greeting)).toBe('hello');
    expect(await client.prompts()).toEqual(['greeting']);
    return true;
  },
  'a call that asks the user': async (pair) => {
    const client = await connect(pair);
    expect(parseJson(await client.call('ask'))).toEqual({
      action: 'accept',
      content: { name: 'told What is your name?' },
    });
    return true;
  },
  'a call that asks several times, one after the other': async (pair) => {
    const client = await connect(pair);
    const names = parseJson<string[]>(await client.call('multi-round', { rounds: 4 }));
    expect(names).toEqual([1, 2, 3, 4].map((round) => `told Name ${round}?`));
    return true;
  },
  'a call that asks the user, the model and for the roots, at once': async (pair) => {
    const client = await connect(pair);
    expect(parseJson(await client.call('ask-3-kinds'))).toMatchObject([
      { content: { name: 'told What is your name?' } },
      { content: { text: 'words for say something' } },
      { roots: [{ uri: 'file:///home/ada' }] },
    ]);
    return true;
  },
  'a prompt that asks the user': async (pair) => {
    const client = await connect(pair);
    expect(await client.prompt('greeting')).toBe('Greet told Whom to greet?');
    return true;
  },
  'a question outside of a call': async (pair) => {
    const client = await connect({ ...pair, exposed: pair.odd });
    await client.tools();
    const answer = await eventually(async () => {
      const asked = await client.call('asked-in-list');
      expect(asked).not.toBe('nothing');
      return parseJson<{ result?: object }>(asked);
    });
    return answer.result !== undefined;
  },
  progress: async (pair) => {
    const client = await connect(pair);
    expect(await progressOf(client)).toEqual([1, 2, 3]);
    return true;
  },
  'log messages that the client asks for': async (pair) => {
    const client = await connect(pair);
    await client.callWithLog('info', 'slow', { steps: 3 });
    await eventually(() => expect(logsOf(client)).toBe(3));
    return true;
  },
  'log messages that nobody asked for': async (pair) => {
    const client = await connect(pair);
    await client.call('slow', { steps: 3 });
    await client.call('echo'); // what came before it has been read
    return logsOf(client) === 3;
  },
  'news of changed lists': async (pair) => {
    const client = await connect(pair);
    await client.watch(greeting);
    await client.call('poke');
    const lists = ['tools', 'prompts', 'resources'];
    await Promise.all(lists.map((list) => client.nextNotification(`notifications/${list}/list_changed`)));
    return true;
  },
  'news of changed resources': async (pair) => {
    const client = await connect(pair);
    await client.watch(greeting);
    await client.call('poke');
    const { params } = await client.nextNotification('notifications/resources/updated');
    expect(params).toMatchObject({ uri: greeting });
    return true;
  },
  cancellation: isCancelled,
  'an answer that is picked up after the connection was lost': survives,
  'output that is no object': async ({ client, exposed }) => {
    const { result } =
      client === 'modern'
        ? await modernClient(exposed.url, exposed.token).call(1, 'array-output')
        : await (await openSession(exposed.url, exposed.token)).call(1, 'tools/call', { name: 'array-output' });
    const expected = client === 'modern' ? [1, 2, 3] : { result: [1, 2, 3] };
    expect(result?.['structuredContent']).toEqual(expected);
    return true;
  },
  'how long a list may be cached': async (pair) => {
    const { ttlMs = 0, cacheScope } = await listOf(pair);
    return ttlMs === 60_000 && cacheScope === 'public';
  },
  'tools that must run as a task': async (pair) => {
    if (pair.client === 'legacy') {
      const session = await openSession(pair.odd.url, pair.odd.token, { capabilities: { elicitation: {} } });
      const started = await session.call(1, 'tools/call', { name: 'as-a-task', task: {} });
      expect(started.result?.['task']).toMatchObject({ status: 'working' });
      return true;
    }
    const client = await connect({ ...pair, exposed: pair.odd });
    expect(await client.call('as-a-task')).toBe('task of told Name of the task?');
    return true;
  },
  'a call that becomes a task, for clients that know tasks': async ({ client: era, server }) => {
    const [name, tool] = server === 'legacy' ? ['tasks', 'confirm_delete'] : ['modern-tasks', 'as-a-task'];
    const exposed = await startExpose({ server: fixture(name) });
    if (era === 'legacy' && server === 'modern') {
      expect(await (await connect({ client: era, server, exposed, odd: exposed })).call(tool)).toContain(
        'task of told',
      );
      return false;
    }
    if (era === 'legacy') {
      const session = await openSession(exposed.url, exposed.token, { capabilities: { elicitation: {} } });
      const { result } = await session.call(1, 'tools/call', { name: tool, task: {} });
      return result?.['task'] !== undefined;
    }
    const client = taskClient(exposed, exposed.token);
    const taskId = await client.start(tool);
    await client.when('input_required', taskId);
    await client.answer(taskId);
    await client.when('completed', taskId);
    return true;
  },
};

const start = (name: string): Promise<Exposed> => startExpose({ server: fixture(name), lifetime: 'file' });
const servers = {
  legacy: { usual: 'legacy-only', odd: 'nasty' },
  modern: { usual: 'modern-only', odd: 'modern-rarities' },
};

test('docs/eras.md has the table that is proved here; `npm run docs` writes it', () => {
  const page = readFileSync(new URL('../../docs/eras.md', import.meta.url), 'utf8');
  expect(page).toBe(withErasTable(page));
  expect(Object.keys(proofs)).toEqual(rows.map(({ feature }) => feature));
});

describe.each(pairs)('a $server server and a $client client', ({ client, server }) => {
  let running: { exposed: Exposed; odd: Exposed };
  beforeAll(async () => {
    const [exposed, odd] = await Promise.all([start(servers[server].usual), start(servers[server].odd)]);
    running = { exposed, odd };
  });
  const column = pairs.findIndex((pair) => pair.client === client && pair.server === server);
  const provable = rows.flatMap(({ feature, cells }) => {
    const cell = cells[column];
    return cell === undefined ? [] : [[feature, cell.works] as const];
  });

  test.each(provable)('%s', async (feature, works) => {
    expect(await proofs[feature]?.({ client, server, ...running })).toBe(works);
  });
});
