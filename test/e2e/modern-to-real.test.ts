// A client of 2026-07-28 in front of servers that people have, which know nothing of it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ListRootsRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../harness/eventually.ts';
import { startExpose } from '../harness/expose.ts';
import { atEnd } from '../harness/lifetime.ts';
import { installedServer, temporaryDirectory } from '../harness/program.ts';
import { type ClientHandlers, connectV2 } from '../harness/sdk-clients.ts';

const everything = installedServer('mcp-server-everything');

/** The tools that the server shows a client with these capabilities, when nothing is between them. */
async function toolsDirectly(capabilities: object): Promise<string[]> {
  const [command = '', ...args] = everything;
  const client = new Client({ name: 'direct', version: '0' }, { capabilities });
  if ('roots' in capabilities) client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] }));
  atEnd('test', () => client.close());
  const changed = new Promise<void>((resolve) => {
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
  });
  await client.connect(new StdioClientTransport({ command, args }));
  await within(10_000, 'the server to add its tools', changed);
  return (await client.listTools()).tools.map(({ name }) => name).toSorted();
}

describe('server-everything', () => {
  test.each<[string, object, ClientHandlers]>([
    ['elicitation', { elicitation: { form: {} } }, { elicit: () => ({}) }],
    ['sampling', { sampling: {} }, { sample: () => '' }],
    ['roots', { roots: {} }, { roots: [] }],
    [
      'all',
      { elicitation: { form: {} }, sampling: {}, roots: {} },
      { elicit: () => ({}), sample: () => '', roots: [] },
    ],
  ])('has the tools for clients with %s', async (_what, capabilities, handlers) => {
    const exposed = await startExpose({ server: everything });
    const client = await connectV2(exposed.url, exposed.token, { ...handlers, era: 'modern' });
    const expected = await toolsDirectly(capabilities);
    await eventually(async () => expect((await client.tools()).toSorted()).toEqual(expected), 10_000);
  });

  test('asks a person, a model, and for the roots; two at once', async () => {
    const exposed = await startExpose({ server: everything });
    const client = await connectV2(exposed.url, exposed.token, {
      era: 'modern',
      sample: (prompt) => `sampled from ${prompt}`,
      elicit: () => ({ name: 'Ada Lovelace' }),
      roots: ['file:///tmp/of-the-client'],
    });
    const names = ['trigger-sampling-request', 'trigger-elicitation-request', 'get-roots-list'];
    await eventually(async () => expect(await client.tools()).toEqual(expect.arrayContaining(names)), 10_000);
    expect(await client.call('trigger-sampling-request', { prompt: 'a question' })).toMatch(
      /sampled from .*a question/,
    );
    const both = await Promise.all([
      client.call('trigger-elicitation-request'),
      client.call('trigger-elicitation-request'),
    ]);
    expect(both).toEqual([expect.stringContaining('Ada Lovelace'), expect.stringContaining('Ada Lovelace')]);
    expect(await client.call('get-roots-list')).toContain('file:///tmp/of-the-client');
    const steps: number[] = [];
    await client.call(
      'trigger-long-running-operation',
      { duration: 0.4, steps: 4 },
      { onprogress: ({ progress }) => void steps.push(progress) },
    );
    expect(steps).toEqual([1, 2, 3, 4]);
  });

  test('tells of a resource that a client listens to', async () => {
    const exposed = await startExpose({ server: everything });
    const client = await connectV2(exposed.url, exposed.token, { era: 'modern' });
    const [uri = ''] = await client.resources();
    await client.watch(uri);
    await client.call('toggle-subscriber-updates');
    const { params } = await client.nextNotification('notifications/resources/updated');
    expect(params).toMatchObject({ uri });
  });
});

describe('server-filesystem, which was told of no directory', () => {
  const filesystem = installedServer('mcp-server-filesystem');

  test('takes the roots of its client', async () => {
    const home = temporaryDirectory();
    const exposed = await startExpose({ server: filesystem });
    const client = await connectV2(exposed.url, exposed.token, { era: 'modern', roots: [`file://${home}`] });
    expect(await client.call('list_allowed_directories')).toContain(home);
  });

  test('takes the roots that the command line names', async () => {
    const home = temporaryDirectory();
    const exposed = await startExpose({ server: filesystem, args: ['--root', home] });
    const client = await connectV2(exposed.url, exposed.token, { era: 'modern', roots: [] });
    await eventually(async () => expect(await client.call('list_allowed_directories')).toContain(home));
  });
});
