import { createDeferred } from '../platform/deferred.ts';
import { ExposeError } from '../errors.ts';
import { memberOf, rpcCode, type RpcRequest, type RpcResponse } from '../mcp/json-rpc.ts';
import { newError, newNotification, newRequest, newResult } from '../mcp/new-message.ts';
import { eraOf, preferredRevision, type Era } from '../mcp/revisions.ts';
import type { PendingRequest, UpstreamMessage } from './session/pending-request.ts';
import { Channel } from './session/channel.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface ServerDescription {
  readonly name: string;
  readonly version: string;
  readonly era: Era;
  readonly protocolVersion: string;
  /** Number of tools that it lists to a client without capabilities, without those that callers may not use. */
  readonly tools: number;
}

/** Of a server's last words, as many lines are shown as a hint, without those that only its author can read. */
const maxHintLines = 5;
const stackFrame = /^\s*at .+|^\s*$|^\s*(?:code: |requireStack: |[{}]\s*$)|^Node\.js v/;

/** A list that never ends is not followed for ever. */
const maxToolPages = 100;

export interface DescribeOptions {
  readonly upstream: Upstream;
  /** How long the server may take in all. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The address of one that is called, for errors; left out where clients read them too. */
  readonly url?: string | undefined;
  readonly onWarning: (message: string) => void;
  /** Called with the names of the tools that are counted. */
  readonly onTools?: ((names: readonly string[]) => void) | undefined;
  /** What to do when it fails, in words. */
  readonly checkAlone: string;
  /** Our own version, told to the server. */
  readonly clientVersion: string;
}

/**
 * Starts a server, asks what it is and what it has, and ends it: what a client will find, known before any client comes.
 * @throws ExposeError `upstream_not_started`, `upstream_exited`, `upstream_silent` or `upstream_refused`, or the
 * signal's reason.
 */
export async function describeServer(options: DescribeOptions): Promise<ServerDescription> {
  const { upstream, url, timeoutMs, signal, onWarning, checkAlone, clientVersion } = options;
  const subject = url === undefined ? 'the server' : `the server at ${url}`;
  const { promise: failed, reject: fail } = createDeferred<never>();
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener('abort', onAbort);
  const startTimeout = setTimeout(() => {
    fail(
      new ExposeError('upstream_silent', `${subject} did not answer within ${timeoutMs / 1000} s`, {
        hints: [
          url === undefined ? 'is it an MCP server that speaks over stdio? --verbose shows what it prints' : checkAlone,
          'allow more time with --start-timeout 120s',
        ],
      }),
    );
  }, timeoutMs);

  const channel = new Channel({
    upstream,
    standalone: {
      isOpen: () => true,
      send(message: UpstreamMessage) {
        if (message.kind === 'request') upstream.send(answerWithoutClient(message));
        return true;
      },
      whenWritable: (callback) => callback(),
      end() {},
    },
    onClose({ code, reason, stderr, advice = checkAlone }) {
      const lines = stderr.split('\n').filter((line) => !stackFrame.test(line));
      const hints = stderr === '' ? [] : [`it printed: ${lines.slice(-maxHintLines).join('\n')}`];
      const told = code === 'upstream_exited' ? `${reason} before it had answered` : reason;
      const message =
        url === undefined ? told : told.replace(/\bthe server\b|$/, (found) => (found === '' ? ` (${url})` : subject));
      const known = code === 'upstream_session_lost' ? 'upstream_refused' : code;
      fail(new ExposeError(known, message, { hints: [...hints, advice] }));
    },
  });

  let lastId = 0;
  function request(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      channel.request(newRequest(++lastId, method, params), promisedCall(resolve, reject));
    });
  }

  async function describe(): Promise<ServerDescription> {
    const result = await request('initialize', {
      protocolVersion: preferredRevision,
      capabilities: {},
      clientInfo: { name: 'mcp-expose', version: clientVersion },
    }).catch((cause: unknown) => {
      const reason = textOf(memberOf(cause, 'message'), 'it gave no reason');
      throw new ExposeError('upstream_refused', `${subject} refused initialize: ${reason}`);
    });
    upstream.send(newNotification('notifications/initialized'));
    const serverInfo = memberOf(result, 'serverInfo');
    const protocolVersion = textOf(memberOf(result, 'protocolVersion'), preferredRevision);
    return {
      name: textOf(memberOf(serverInfo, 'name'), 'unknown'),
      version: textOf(memberOf(serverInfo, 'version'), ''),
      era: eraOf(protocolVersion),
      protocolVersion,
      tools: memberOf(memberOf(result, 'capabilities'), 'tools') === undefined ? 0 : await countTools(),
    };
  }

  async function countTools(): Promise<number> {
    const tools = await listTools();
    options.onTools?.([...tools].filter((name) => typeof name === 'string'));
    return tools.size;
  }

  async function listTools(): Promise<ReadonlySet<unknown>> {
    /** By name; what has none is counted by itself. */
    const tools = new Set<unknown>();
    const cursors = new Set<string>();
    let cursor: string | undefined;
    while (cursors.size < maxToolPages) {
      // oxlint-disable-next-line no-await-in-loop -- the cursor of the next page stands in this one
      const result = await request('tools/list', cursor === undefined ? {} : { cursor }).catch(() => undefined);
      const page = memberOf(result, 'tools');
      for (const tool of Array.isArray(page) ? page : []) tools.add(memberOf(tool, 'name') ?? {});
      const next = memberOf(result, 'nextCursor');
      if (typeof next !== 'string') return tools;
      if (cursors.has(next)) {
        onWarning(`tools/list repeats a cursor: only the first ${tools.size} tools are counted`);
        return tools;
      }
      cursors.add(next);
      cursor = next;
    }
    onWarning(`tools/list has more than ${maxToolPages} pages: only the first ${tools.size} tools are counted`);
    return tools;
  }

  try {
    signal.throwIfAborted();
    channel.start();
    return await Promise.race([describe(), failed]);
  } finally {
    clearTimeout(startTimeout);
    signal.removeEventListener('abort', onAbort);
    failed.catch(() => {});
    void channel.close();
  }
}

/** What a client without capabilities answers (MCP 2025-11-25, ping). */
function answerWithoutClient({ id, method }: RpcRequest): RpcResponse {
  if (method === 'ping') return newResult(id, {});
  return newError({ id, code: rpcCode.methodNotFound, message: `${method} is not supported by this client` });
}

/** A call whose outcome is a promise's. It is not open for anything but the response. */
function promisedCall(resolve: (result: unknown) => void, reject: (reason: unknown) => void): PendingRequest {
  return {
    isOpen: () => false,
    send: () => true,
    whenWritable: (callback) => callback(),
    finish(response: RpcResponse) {
      if (response.failed) reject(response.json['error']);
      else resolve(response.json['result']);
      return true;
    },
    whenGone() {},
    // An upstream that has gone says so, and better, through the channel's onClose.
    fail() {},
    end() {},
  };
}

function textOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
