import { createDeferred } from '../../platform/deferred.ts';
import { ExposeError } from '../../errors.ts';
import {
  memberOf,
  rpcCode,
  type RequestId,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newError, newRequest, newResult } from '../../mcp/new-message.ts';
import { Channel } from '../session/channel.ts';
import type { PendingRequest, UpstreamMessage } from '../session/pending-request.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

/** Of a server's last words, as many lines are shown as a hint, without those that only its author can read. */
const maxHintLines = 5;
const stackFrame = /^\s*at .+|^\s*$|^\s*(?:code: |requireStack: |[{}]\s*$)|^Node\.js v/;

export interface InterviewOptions {
  /** How long the server may take in all. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The address of one that is called, for errors; left out where clients read them too. */
  readonly url?: string | undefined;
  /** What to do when it fails, in words. */
  readonly checkAlone: string;
}

/** One connection over which a server is asked questions of our own, from its start to its end. */
export class Interview {
  readonly #options: InterviewOptions;
  readonly #upstream: Upstream;
  readonly #channel: Channel;
  readonly #fail: (reason: unknown) => void;
  /** Rejects when the connection has ended, or the time is over. */
  readonly failure: Promise<never>;
  #lastId = 0;

  constructor(upstream: Upstream, options: InterviewOptions) {
    const { promise, reject } = createDeferred<never>();
    this.#options = options;
    this.#upstream = upstream;
    this.failure = promise;
    this.#fail = reject;
    this.#channel = new Channel({
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
      onClose: (end) => reject(this.#errorOf(end)),
    });
  }

  /**
   * Starts the server, and ends it after `talk`.
   * @throws ExposeError `upstream_not_started`, `upstream_unreachable`, `upstream_exited`, `upstream_silent` or
   * `upstream_refused`, the signal's reason, or what `talk` throws.
   */
  async hold<T>(talk: () => Promise<T>): Promise<T> {
    const { signal, timeoutMs } = this.#options;
    signal.throwIfAborted();
    const onAbort = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', onAbort);
    const timeout = setTimeout(() => this.#fail(this.silence(timeoutMs)), timeoutMs);
    try {
      this.#channel.start();
      return await Promise.race([talk(), this.failure]);
    } finally {
      clearTimeout(timeout);
      signal.removeEventListener('abort', onAbort);
      this.failure.catch(() => {});
      void this.#channel.close();
    }
  }

  /** Resolves with the answer, also with an error; never, if none comes. */
  ask(method: string, params: Readonly<Record<string, unknown>>, id: RequestId = ++this.#lastId): Promise<RpcResponse> {
    return new Promise((resolve) => {
      this.#channel.request(newRequest(id, method, params), promisedCall(resolve));
    });
  }

  tell(notification: RpcNotification): void {
    this.#upstream.send(notification);
  }

  /** The server did not serve a request without which nothing else can be asked. @param hint what to do about it. */
  refusal(method: string, response: RpcResponse | undefined, hint?: string): ExposeError {
    const reason = memberOf(response?.json['error'], 'message');
    const why = typeof reason === 'string' ? reason : 'it gave no reason';
    return new ExposeError('upstream_refused', `${this.#subject} refused ${method}: ${why}`, {
      hints: hint === undefined ? [] : [hint],
    });
  }

  silence(waitedMs: number): ExposeError {
    const { url, checkAlone } = this.#options;
    return new ExposeError('upstream_silent', `${this.#subject} did not answer within ${waitedMs / 1000} s`, {
      hints: [
        url === undefined ? 'is it an MCP server that speaks over stdio? --verbose shows what it prints' : checkAlone,
        'allow more time with --start-timeout 120s',
      ],
    });
  }

  /** The server, as it is called in errors. */
  get #subject(): string {
    return this.#options.url === undefined ? 'the server' : `the server at ${this.#options.url}`;
  }

  #errorOf({ code, reason, stderr, advice = this.#options.checkAlone }: UpstreamEnd): ExposeError {
    const { url } = this.#options;
    const lines = stderr.split('\n').filter((line) => !stackFrame.test(line));
    const hints = stderr === '' ? [] : [`it printed: ${lines.slice(-maxHintLines).join('\n')}`];
    const told = code === 'upstream_exited' ? `${reason} before it had answered` : reason;
    const message =
      url === undefined
        ? told
        : told.replace(/\bthe server\b|$/, (found) => (found === '' ? ` (${url})` : this.#subject));
    const known = code === 'upstream_session_lost' ? 'upstream_refused' : code;
    return new ExposeError(known, message, { hints: [...hints, advice] });
  }
}

/** What a client without capabilities answers (MCP 2025-11-25, ping). */
function answerWithoutClient({ id, method }: RpcRequest): RpcResponse {
  if (method === 'ping') return newResult(id, {});
  return newError({ id, code: rpcCode.methodNotFound, message: `${method} is not supported by this client` });
}

/** A call whose response is a promise's. It is not open for anything else. */
function promisedCall(resolve: (response: RpcResponse) => void): PendingRequest {
  return {
    isOpen: () => false,
    send: () => true,
    whenWritable: (callback) => callback(),
    finish(response: RpcResponse) {
      resolve(response);
      return true;
    },
    whenGone() {},
    // An upstream that has gone says so, and better, through the channel's onClose.
    fail() {},
    end() {},
  };
}
