// Clients that people have, in front of mcp-expose: the MCP Inspector, and mcp-remote for clients that only know stdio.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ProgressNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { exposeConformance, interopCommand, runInterop, type UpstreamKind } from '../harness/interop.ts';
import { within } from '../harness/eventually.ts';
import { atEnd, type Lifetime } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { killIfAlive } from '../harness/processes.ts';
import { temporaryDirectory } from '../harness/program.ts';

/** Which of our endpoints a client uses, and what it calls that transport. */
export interface Endpoint {
  name: string;
  urlOf: (exposed: Exposed) => string;
  inspector: string;
  remote: string;
}

export const streamableHttp: Endpoint = {
  name: 'Streamable HTTP',
  urlOf: ({ localUrl }) => localUrl,
  inspector: 'http',
  remote: 'http-only',
};
export const legacySse: Endpoint = {
  name: 'legacy HTTP+SSE',
  urlOf: ({ localUrl }) => new URL('/sse', localUrl).href,
  inspector: 'sse',
  remote: 'sse-only',
};

const connectMs = 30_000;

export interface Inspected {
  code: number | null;
  result?: unknown;
  /** The Inspector's own words; it exits with another code than 0. */
  error?: { code: string; message: string };
}

/** Runs `mcp-inspector --cli` and resolves with what it printed. */
export async function inspect(
  endpoint: Endpoint,
  exposed: Exposed,
  token: string,
  method: string,
  ...more: string[]
): Promise<Inspected> {
  const server = ['--cli', endpoint.urlOf(exposed), '--transport', endpoint.inspector];
  const access = ['--header', `Authorization: Bearer ${token}`, '--stored-auth-only'];
  const output = ['--format', 'json', '--quiet'];
  const args = [...server, ...access, ...output, '--method', method, ...more];
  const { code, stdout, stderr } = await runInterop('mcp-inspector', args);
  return { code, ...parseJson<Omit<Inspected, 'code'>>(code === 0 ? stdout : stderr) };
}

export interface RemoteClient {
  client: Client;
  /** The text blocks of the result, a line each; of other blocks, the type. */
  call(tool: string, args?: Record<string, unknown>): Promise<string>;
  /** Calls a tool and resolves with the progress that was reported. */
  progressOf(tool: string, args?: Record<string, unknown>): Promise<number[]>;
}

/** Connects the official client to mcp-remote over stdio, as a desktop application would. */
export async function connectThroughRemote(
  endpoint: Endpoint,
  exposed: Exposed,
  { flags = [], lifetime = 'test' }: { flags?: string[]; lifetime?: Lifetime } = {},
): Promise<RemoteClient> {
  // mcp-remote itself replaces ${TOKEN}.
  const access = ['--header', 'Authorization: Bearer ${TOKEN}'];
  const args = [endpoint.urlOf(exposed), ...access, '--transport', endpoint.remote, ...flags];
  return await connectToRemote(args, { env: { TOKEN: exposed.token }, lifetime });
}

/** The same with other arguments: without a token, it signs in. */
export async function connectToRemote(
  remoteArgs: string[],
  { env, lifetime = 'test' }: { env: Record<string, string>; lifetime?: Lifetime },
): Promise<RemoteClient> {
  const remote = interopCommand('mcp-remote', [...remoteArgs, '--allow-http'], {
    env: { MCP_REMOTE_CONFIG_DIR: temporaryDirectory(lifetime), ...env },
    lifetime,
  });
  const transport = new StdioClientTransport({ ...remote, stderr: 'pipe' });
  let printed = '';
  transport.stderr?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const client = new Client(
    { name: 'mcp-expose-tests', version: '0.0.0' },
    { capabilities: { sampling: {}, elicitation: { form: {} } } },
  );
  atEnd(lifetime, async () => {
    const { pid } = transport;
    if (pid !== null) killIfAlive(pid);
    await client.close();
  });
  await within(connectMs, 'mcp-remote to connect', client.connect(transport)).catch((error: unknown) => {
    throw new Error(`mcp-remote did not connect; it printed:\n${printed}`, { cause: error });
  });
  return {
    client,
    call: async (name, args = {}) => {
      const { content } = CallToolResultSchema.parse(await client.callTool({ name, arguments: args }));
      return content.map((block) => (block.type === 'text' ? block.text : `(${block.type})`)).join('\n');
    },
    progressOf: async (name, args = {}) => {
      // Not by `onprogress`: the client forgets it as it reads the result, which may be in the chunk of the last step.
      const progressToken = `progress of ${name}`;
      const steps: number[] = [];
      client.setNotificationHandler(ProgressNotificationSchema, ({ params }) => {
        if (params.progressToken === progressToken) steps.push(params.progress);
      });
      await client.callTool({ name, arguments: args, _meta: { progressToken } });
      return steps;
    },
  };
}

/** Registers the tests of both clients against the fixture of the conformance suite. */
export function describeClients(kind: UpstreamKind, endpoint: Endpoint): void {
  describe(`${endpoint.name} in front of a server over ${kind}`, () => {
    let exposed: Exposed;
    beforeAll(async () => {
      exposed = await exposeConformance(kind, { lifetime: 'file' });
    });
    const run = (method: string, ...args: string[]) => inspect(endpoint, exposed, exposed.token, method, ...args);

    describe('MCP Inspector', () => {
      test('lists tools, with their schemas as they are', async () => {
        const { result } = await run('tools/list');
        expect(result).toMatchObject({
          tools: expect.arrayContaining([
            expect.objectContaining({ name: 'test_simple_text' }),
            expect.objectContaining({
              name: 'json_schema_2020_12_tool',
              inputSchema: expect.objectContaining({ $schema: 'https://json-schema.org/draft/2020-12/schema' }),
            }),
          ]),
        });
      });

      test('calls a tool', async () => {
        const args = ['--tool-name', 'json_schema_2020_12_tool', '--tool-arg', 'name=grüße 🦊', 'email=a@b.example'];
        const { result } = await run('tools/call', ...args);
        expect(result).toEqual({
          content: [{ type: 'text', text: '{"name":"grüße 🦊","email":"a@b.example"}' }],
        });
      });

      test('is told that a tool failed', async () => {
        const { code, error } = await run('tools/call', '--tool-name', 'test_error_handling');
        expect(code).not.toBe(0);
        expect(error).toMatchObject({ code: 'tool_is_error' });
      });

      test('lists and reads resources', async () => {
        const { result } = await run('resources/list');
        const uris = ['test://static-text', 'test://static-binary', 'test://watched-resource'];
        expect(result).toMatchObject({ resources: uris.map((uri) => ({ uri })) });
        const read = await run('resources/read', '--uri', 'test://template/7/data');
        expect(read.result).toMatchObject({ contents: [{ text: expect.stringContaining('Data for ID: 7') }] });
      });

      test('gets a prompt', async () => {
        const args = ['--prompt-name', 'test_prompt_with_arguments', '--prompt-args', 'arg1=one', 'arg2=two'];
        const { result } = await run('prompts/get', ...args);
        const text = "Prompt with arguments: arg1='one', arg2='two'";
        expect(result).toEqual({ messages: [{ role: 'user', content: { type: 'text', text } }] });
      });

      test('is told that its token is wrong', async () => {
        const { code, error } = await inspect(endpoint, exposed, `${exposed.token}x`, 'tools/list');
        expect(code).not.toBe(0);
        expect(error).toMatchObject({ code: 'auth_required' });
      });
    });

    // `auto` asks for the modern era first, and falls back.
    describe.each(['legacy', 'auto'])('mcp-remote --protocol %s', (protocol) => {
      let remote: RemoteClient;
      beforeAll(async () => {
        remote = await connectThroughRemote(endpoint, exposed, { flags: ['--protocol', protocol], lifetime: 'file' });
      });

      test('lists and calls tools', async () => {
        const { client, call } = remote;
        expect(client.getServerVersion()?.name).toBe('fixture-conformance');
        expect((await client.listTools()).tools.map(({ name }) => name)).toContain('test_simple_text');
        expect(await call('test_simple_text')).toBe('This is a simple text response for testing.');
        expect(await call('test_multiple_content_types')).toBe('Multiple content types test:\n(image)\n(resource)');
      });

      test('follows the progress of a call', async () => {
        expect(await remote.progressOf('test_tool_with_progress')).toEqual([0, 50, 100]);
      });

      test('reads resources and gets prompts', async () => {
        const { client } = remote;
        const { contents } = await client.readResource({ uri: 'test://static-text' });
        expect(contents).toMatchObject([{ text: 'This is the content of the static text resource.' }]);
        const { messages } = await client.getPrompt({ name: 'test_simple_prompt' });
        expect(messages).toHaveLength(1);
      });

      test('answers sampling and elicitation', async () => {
        const { client, call } = remote;
        client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
          role: 'assistant' as const,
          model: 'test-model',
          content: { type: 'text' as const, text: `sampled ${params.messages.length}` },
        }));
        client.setRequestHandler(ElicitRequestSchema, () => ({
          action: 'accept' as const,
          content: { username: 'ada' },
        }));
        expect(await call('test_sampling', { prompt: 'a question' })).toBe('LLM response: sampled 1');
        expect(await call('test_elicitation', { message: 'who?' })).toBe(
          'User response: action=accept, content={"username":"ada"}',
        );
      });
    });
  });
}
