// The official everything server, reached in each of the three ways, with every official client there is.
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startEverything } from '../harness/everything.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { killIfAlive } from '../harness/processes.ts';
import { installedServer } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';
import { connectWith, type ClientHandlers, type SdkVersion } from '../harness/sdk-clients.ts';

const kinds = ['stdio', 'http', 'sse'] as const;
const clients: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];

async function exposeEverything(kind: (typeof kinds)[number]): Promise<Exposed> {
  if (kind === 'stdio') return startExpose({ server: installedServer('mcp-server-everything'), lifetime: 'file' });
  return startExpose({ running: await startEverything(kind, { lifetime: 'file' }), lifetime: 'file' });
}

describe.each(kinds)('server-everything over %s', (kind) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeEverything(kind);
  });

  test('says what it is', () => {
    expect(exposed.ready.servers).toMatchObject([{ name: 'mcp-servers/everything', path: '/mcp', era: 'legacy' }]);
  });

  describe.each(clients)('SDK client %s', (version) => {
    const connect = (handlers: ClientHandlers = {}) => connectWith[version](exposed.url, exposed.token, handlers);

    test('lists and calls tools, reads resources and prompts', async () => {
      const client = await connect();
      expect(await client.tools()).toEqual(expect.arrayContaining(['echo', 'get-sum']));
      expect(await client.call('echo', { message: 'grüße \u2028 🦊' })).toBe('Echo: grüße \u2028 🦊');
      const [uri = ''] = await client.resources();
      expect(await client.readResource(uri)).not.toBe('');
      expect(await client.prompt('simple-prompt')).not.toBe('');
    });

    test('follows the progress of calls that run at the same time', async () => {
      const client = await connect();
      const run = async (steps: number): Promise<number[]> => {
        const seen: number[] = [];
        const args = { duration: 0.4, steps };
        await client.call('trigger-long-running-operation', args, {
          onprogress: ({ progress }) => seen.push(progress),
        });
        return seen;
      };
      const [two, four] = await Promise.all([run(2), run(4)]);
      // The last one comes with the answer, and v1 forgets whom to tell once it has that.
      expect([[1, 2], [1]]).toContainEqual(two);
      expect([
        [1, 2, 3, 4],
        [1, 2, 3],
      ]).toContainEqual(four);
    });

    test('answers what the server asks', async () => {
      const client = await connect({
        sample: (prompt) => `sampled ${prompt.length > 0 ? 'something' : 'nothing'}`,
        elicit: () => ({ name: 'Ada' }),
        roots: ['file:///a'],
      });
      await eventually(async () => expect(await client.tools()).toContain('trigger-sampling-request'));
      expect(await client.call('trigger-sampling-request', { prompt: 'hello' })).toContain('sampled something');
      expect(await client.call('trigger-elicitation-request')).toContain('Ada');
      expect(await client.call('get-roots-list')).toContain('file:///a');
    });

    test('many clients at once get their own answers', async () => {
      const each = await Promise.all(Array.from({ length: 4 }, () => connect()));
      const answers = await Promise.all(
        each.flatMap((client, at) => [1, 2, 3].map((n) => client.call('echo', { message: `${at}-${n}` }))),
      );
      expect(answers).toEqual(each.flatMap((_client, at) => [1, 2, 3].map((n) => `Echo: ${at}-${n}`)));
    });
  });
});

describe.each(['http', 'sse'] as const)('a server over %s that goes and comes back', (kind) => {
  test('fails what is in flight, and the session lives on', async () => {
    const server = await startEverything(kind);
    const exposed = await startExpose({ running: server });
    const session = await openSession(exposed.url, exposed.token);
    const echo = (id: number) => session.call(id, 'tools/call', { name: 'echo', arguments: { message: String(id) } });
    expect((await echo(2)).result).toBeDefined();

    const slow = {
      name: 'trigger-long-running-operation',
      arguments: { duration: 60, steps: 600 },
      _meta: { progressToken: 'slow' },
    };
    const lost = await session.post({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: slow });
    await lost.next(({ method }) => method === 'notifications/progress');
    killIfAlive(server.pid);
    expect((await lost.next(({ id }) => id === 3)).error).toMatchObject({ code: -32603 });
    await eventually(async () => expect((await readyz(exposed)).status).toBe(503), 15_000);

    await startEverything(kind, { port: server.port });
    expect((await echo(4)).result).toMatchObject({ content: [{ text: 'Echo: 4' }] });
    expect((await readyz(exposed)).json()).toMatchObject({ status: 'ready', sessions: 1, restarts: 1 });
  });
});

const readyz = (exposed: Exposed) =>
  send<object>(new URL('/readyz', exposed.url).href, { headers: clientHeaders(exposed.token) });
