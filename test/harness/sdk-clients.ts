// The two official clients behind one face, so that a story is told once and holds for both.
import * as v2 from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  type LoggingLevel,
  type ServerCapabilities,
} from '@modelcontextprotocol/sdk/types.js';
import { within } from './eventually.ts';
import { gate } from './gate.ts';
import { atEnd, type Lifetime } from './lifetime.ts';

/** The third is the old HTTP+SSE transport, which only v1 has; its URL ends in /sse. */
export type SdkVersion = 'v1' | 'v2' | 'v1 over HTTP+SSE';

export interface ClientHandlers {
  /** Answers sampling/createMessage with this text, given the text of the prompt. */
  sample?: (prompt: string) => string | Promise<string>;
  /** Accepts elicitation/create with this content. */
  elicit?: (message: string) => Record<string, string> | Promise<Record<string, string>>;
  roots?: string[];
  /** v2 only: the era to speak, or to find out about the server; default: legacy. */
  era?: 'legacy' | 'auto' | 'modern';
  lifetime?: Lifetime;
}

export interface CallOptions {
  signal?: AbortSignal;
  onprogress?: (progress: { progress: number; total?: number | undefined; message?: string | undefined }) => void;
}

export interface SdkClient {
  era(): 'legacy' | 'modern' | undefined;
  sessionId(): string | undefined;
  instructions(): string | undefined;
  serverCapabilities(): ServerCapabilities | undefined;
  serverName(): string | undefined;
  tools(): Promise<string[]>;
  /** The text blocks of the result, joined. */
  call(tool: string, args?: Record<string, unknown>, options?: CallOptions): Promise<string>;
  /** Has log messages of this level and above sent along with the call. */
  callWithLog(level: LoggingLevel, tool: string, args?: Record<string, unknown>): Promise<string>;
  resources(): Promise<string[]>;
  readResource(uri: string): Promise<string>;
  subscribe(uri: string): Promise<void>;
  /** Wants to know of changes of all lists and of the resource, in the way of the era. */
  watch(uri: string): Promise<void>;
  prompts(): Promise<string[]>;
  prompt(name: string, args?: Record<string, string>): Promise<string>;
  /** Methods of the notifications seen so far that nothing else consumes. */
  notifications(): { method: string; params: unknown }[];
  nextNotification(method: string): Promise<{ method: string; params: unknown }>;
  /** DELETE, as a client that is done. */
  terminate(): Promise<void>;
  close(): Promise<void>;
}

interface Block {
  type: string;
  text?: string | undefined;
}
interface Contents {
  text?: string | undefined;
  blob?: string | undefined;
}

const textOfBlocks = (blocks: Block[]) => blocks.map(({ text }) => text ?? '').join('\n');
/** v1 still knows the result of a revision that had no content. */
function contentOf(result: Awaited<ReturnType<ClientV1['callTool']>>): Block[] {
  const parsed = CallToolResultSchema.parse(result);
  return parsed.content;
}

const textOfContents = (contents: Contents[]) => contents.map(({ text, blob }) => text ?? blob ?? '').join('\n');

function promptText(message: { content: Block | Block[] } | undefined): string {
  const [block] = [message?.content ?? []].flat();
  return block?.text ?? '';
}

function notificationLog() {
  const seen: { method: string; params: unknown }[] = [];
  const waiting = new Set<() => void>();
  return {
    seen,
    add: (notification: { method: string; params?: unknown }) => {
      seen.push({ method: notification.method, params: notification.params });
      for (const look of waiting) look();
    },
    next: (method: string) => {
      const found = new Promise<{ method: string; params: unknown }>((resolve) => {
        const look = () => {
          const match = seen.find((notification) => notification.method === method);
          if (!match) return;
          waiting.delete(look);
          resolve(match);
        };
        waiting.add(look);
        look();
      });
      return within(10_000, () => `${method}; so far ${JSON.stringify(seen)}`, found);
    },
  };
}

const clientInfo = { name: 'mcp-expose-tests', version: '0.0.0' };
const capabilitiesOf = ({ sample, elicit, roots }: ClientHandlers) => ({
  ...(sample && { sampling: {} }),
  ...(elicit && { elicitation: { form: {} } }),
  ...(roots && { roots: { listChanged: true } }),
});
const sampled = (text: string) => ({
  role: 'assistant' as const,
  model: 'test-model',
  content: { type: 'text' as const, text },
});
const modes = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } } as const;
const rootsResult = (uris: string[]) => ({ roots: uris.map((uri) => ({ uri, name: uri })) });

type TransportOptions = { requestInit: { headers: Record<string, string> } };

export async function connectV1(
  url: string,
  token: string,
  handlers: ClientHandlers = {},
  transportFor = (address: URL, options: TransportOptions): TransportV1 | LegacyTransport =>
    new TransportV1(address, options),
): Promise<SdkClient> {
  const client = new ClientV1(clientInfo, { capabilities: capabilitiesOf(handlers) });
  const log = notificationLog();
  client.fallbackNotificationHandler = (notification) => Promise.resolve(log.add(notification));
  const { sample, elicit, roots } = handlers;
  if (sample) {
    client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) =>
      sampled(await sample(promptText(params.messages[0]))),
    );
  }
  if (elicit) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({
      action: 'accept' as const,
      content: await elicit(params.message),
    }));
  }
  if (roots) client.setRequestHandler(ListRootsRequestSchema, () => rootsResult(roots));
  const transport = transportFor(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
  atEnd(handlers.lifetime ?? 'test', () => client.close());
  await client.connect(transport);
  return {
    era: () => 'legacy',
    sessionId: () => ('sessionId' in transport ? transport.sessionId : undefined),
    instructions: () => client.getInstructions(),
    serverCapabilities: () => client.getServerCapabilities(),
    serverName: () => client.getServerVersion()?.name,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, options = {}) =>
      textOfBlocks(contentOf(await client.callTool({ name, arguments: args }, undefined, options))),
    callWithLog: async (level, name, args = {}) => {
      await client.setLoggingLevel(level);
      return textOfBlocks(contentOf(await client.callTool({ name, arguments: args })));
    },
    resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    readResource: async (uri) => textOfContents((await client.readResource({ uri })).contents),
    subscribe: async (uri) => void (await client.subscribeResource({ uri })),
    watch: async (uri) => void (await client.subscribeResource({ uri })),
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name, args = {}) =>
      textOfBlocks((await client.getPrompt({ name, arguments: args })).messages.map(({ content }) => content as Block)),
    notifications: () => log.seen,
    nextNotification: log.next,
    terminate: async () => ('terminateSession' in transport ? transport.terminateSession() : transport.close()),
    close: () => client.close(),
  };
}

export async function connectV2(
  url: string,
  token: string,
  handlers: ClientHandlers = {},
  transportFor = (address: URL, options: TransportOptions): v2.StreamableHTTPClientTransport =>
    new v2.StreamableHTTPClientTransport(address, options),
): Promise<SdkClient> {
  const client = new v2.Client(clientInfo, {
    capabilities: capabilitiesOf(handlers),
    versionNegotiation: { mode: modes[handlers.era ?? 'legacy'] },
  });
  const log = notificationLog();
  client.fallbackNotificationHandler = (notification) => Promise.resolve(log.add(notification));
  const { sample, elicit, roots } = handlers;
  if (sample) {
    client.setRequestHandler('sampling/createMessage', async ({ params }) =>
      sampled(await sample(promptText(params.messages[0]))),
    );
  }
  if (elicit) {
    client.setRequestHandler('elicitation/create', async ({ params }) => ({
      action: 'accept' as const,
      content: await elicit(params.message),
    }));
  }
  if (roots) client.setRequestHandler('roots/list', () => rootsResult(roots));
  const transport = transportFor(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
  atEnd(handlers.lifetime ?? 'test', () => client.close());
  await client.connect(transport);
  return {
    era: () => client.getProtocolEra(),
    sessionId: () => transport.sessionId,
    instructions: () => client.getInstructions(),
    serverCapabilities: () => client.getServerCapabilities(),
    serverName: () => client.getServerVersion()?.name,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, options = {}) =>
      textOfBlocks((await client.callTool({ name, arguments: args }, options)).content),
    callWithLog: async (level, name, args = {}) => {
      const isModern = client.getProtocolEra() === 'modern';
      if (!isModern) await client.setLoggingLevel(level);
      const meta = isModern ? { [v2.LOG_LEVEL_META_KEY]: level } : {};
      return textOfBlocks((await client.callTool({ name, arguments: args, _meta: meta })).content);
    },
    resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    readResource: async (uri) => textOfContents((await client.readResource({ uri })).contents),
    subscribe: async (uri) => void (await client.subscribeResource({ uri })),
    watch: async (uri) => {
      const lists = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
      if (client.getProtocolEra() === 'legacy') await client.subscribeResource({ uri });
      else await client.listen({ ...lists, resourceSubscriptions: [uri] });
    },
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name, args = {}) =>
      textOfBlocks((await client.getPrompt({ name, arguments: args })).messages.map(({ content }) => content as Block)),
    notifications: () => log.seen,
    nextNotification: log.next,
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

export const connectWith: Record<
  SdkVersion,
  (url: string, token: string, handlers?: ClientHandlers) => Promise<SdkClient>
> = {
  v1: connectV1,
  v2: connectV2,
  'v1 over HTTP+SSE': (url, token, handlers) =>
    connectV1(url.replace(/\/mcp$/, '/sse'), token, handlers, (sse, options) => new LegacyTransport(sse, options)),
};

/**
 * The progress of a call of `slow` in the fixtures of either era. The call goes on until all of it has come: a client forgets the
 * progress of a call as it reads the result, which may be in the same chunk.
 */
export async function progressOf(client: SdkClient): Promise<number[]> {
  const steps: number[] = [];
  const all = gate();
  const onprogress = ({ progress }: { progress: number }) => {
    if (steps.push(progress) === 3) all.open();
  };
  const call = client.call('slow', { steps: 3, hold: true }, { onprogress });
  await within(20_000, 'progress', Promise.race([all.opened, call]));
  await client.call('release');
  await call;
  return steps;
}
