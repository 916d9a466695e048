import { hash } from 'node:crypto';

import type { Caller } from '../../auth/caller.ts';
import type { Session } from '../../bridge/session/session.ts';
import type { RpcMessage, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';
import { memberOf } from '../../mcp/json-rpc.ts';
import { locateMembers, pathTree } from '../../mcp/json/locate-members.ts';
import { clientInfoKey } from '../../mcp/envelope-keys.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import { redactUrl } from '../../platform/text/redact.ts';

/** Longest name in a report, in characters, and longest JSON text that is read for one, in bytes: callers choose names. */
const maxNameLength = 200;
const maxNameBytes = 8192;

/** Largest message of which a body is reported, in bytes: parsing more would hold up other calls. */
const maxBodyBytes = 1024 * 1024;

/**
 * Largest message whose `json` is read, in bytes, if nobody has parsed it yet: it surely has all texts (see `RpcMessage.json`), and
 * to parse it takes less time than to look for members.
 */
const maxParsedBytes = 4096;

/** Characters of the digest that stands for a session: the id itself would be half of what it takes to use it. */
const sessionDigestLength = 8;

/**
 * `input_required`: the server asks for something, and the client comes back with it (MCP 2026-07-28). `tool_error`: a result with
 * `isError`. `error`: a JSON-RPC error. `cancelled`: by the client, or it had gone before.
 */
export type Outcome = 'ok' | 'input_required' | 'error' | 'tool_error' | 'denied' | 'cancelled';

/** Why mcp-expose itself does not allow a call (`error.data.reason`). */
const denials: ReadonlySet<unknown> = new Set([
  'not_allowed',
  'not_read_only',
  'tools_not_listed',
  'ambiguous_request',
  'not_approved',
  'approval_timed_out',
  'approval_unavailable',
  'approval_failed',
  'approval_ended',
  'too_large_to_approve',
  'too_many_approvals',
  'token_exhausted',
  'token_already_used',
]);

/** Who is behind a call or a session. */
interface Origin {
  /** As `Caller.label`. */
  readonly caller: string;
  /** As `Caller.address`. */
  readonly client: string | undefined;
  /** What the client says it is. */
  readonly clientInfo?: { readonly name: string; readonly version: string } | undefined;
  /** The beginning of the SHA-256 of the session id, in hexadecimal. */
  readonly session?: string | undefined;
}

/** Describes a finished request. Names are cut, and URIs are without what may be secret in them. */
export interface RequestReport extends Origin {
  readonly method: string;
  readonly tool?: string | undefined;
  readonly resource?: string | undefined;
  readonly prompt?: string | undefined;
  /** The id of the task that the request is about, or that its answer has begun. */
  readonly task?: string | undefined;
  readonly outcome: Outcome;
  /** Of an `error`. */
  readonly code?: number | undefined;
  /** Of a call that was `denied`. */
  readonly reason?: string | undefined;
  readonly durationMs: number;
  /** Size of the JSON-RPC messages; 0 if there was no response. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface SessionReport extends Origin {
  readonly change: 'opened' | 'closed';
}

/** What was sent and answered, as far as `readBody` passes it on. */
export interface RequestBodies {
  readonly arguments?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

export interface ReportReaders {
  /** Called when a request begins, with `Caller.label`. */
  readonly onBegin?: ((caller: string) => void) | undefined;
  /** Called after each request. Omit it when nobody reads the reports: it costs on every call. */
  readonly onRequest?: ((report: RequestReport, bodies?: RequestBodies) => void) | undefined;
  /** Called when a session opens or ends, if there is `onRequest`. */
  readonly onSession?: ((report: SessionReport) => void) | undefined;
  /**
   * Makes what is reported of the arguments, and of the result or error, of calls of tools, resources, prompts and tasks. It must not keep
   * or change what it gets. Default: they are not read.
   */
  readonly readBody?: ((body: unknown) => unknown) | undefined;
  /** Only requests that open a session, and those that may be refused in it, are reported. Default: all. */
  readonly isSelective?: boolean | undefined;
}

/** What ended a call: the code and the data of a JSON-RPC error. */
interface Failure {
  readonly code?: number | undefined;
  readonly message?: string | undefined;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

type SessionFacts = Pick<Origin, 'clientInfo' | 'session'>;

const sessionFacts = new WeakMap<Session, SessionFacts>();

/** The report of a request that is being answered. It keeps nothing of the messages. */
export class CallReport {
  readonly #readers: ReportReaders;
  readonly #origin: Pick<Origin, 'caller' | 'client'>;
  #about: Pick<RequestReport, 'method' | 'tool' | 'resource' | 'prompt' | 'task' | 'requestBytes'>;
  readonly #startedAt = performance.now();
  #facts: SessionFacts;
  /** The session that the request opens. */
  #opening: Session | undefined;
  #end: Pick<RequestReport, 'outcome' | 'code' | 'reason' | 'responseBytes'> = {
    outcome: 'cancelled',
    responseBytes: 0,
  };
  /** With `readBody` only. */
  #bodies: RequestBodies | undefined;
  #isMade = false;

  constructor(readers: ReportReaders, request: RpcRequest, caller: Caller, session?: Session) {
    this.#readers = readers;
    this.#origin = { caller: cut(caller.label), client: caller.address };
    this.#about = { method: cut(request.method), ...nameIn(request), requestBytes: request.bytes.length };
    this.#facts = session === undefined ? clientIn(request) : (sessionFacts.get(session) ?? {});
    const { method, tool, resource, prompt } = this.#about;
    const isOfTask = method.startsWith('tasks/');
    if (readers.readBody !== undefined && (isOfTask || (tool ?? resource ?? prompt) !== undefined))
      this.#bodies = { arguments: this.#bodyIn(request, ['params', isOfTask ? 'inputResponses' : 'arguments']) };
  }

  /** The session that this `initialize` opens, if it succeeds. */
  opens(session: Session): void {
    this.#opening = session;
    const digest = hash('sha256', session.id, 'hex').slice(0, sessionDigestLength);
    this.#facts = { ...this.#facts, session: digest };
    sessionFacts.set(session, this.#facts);
  }

  answered(response: RpcResponse): void {
    const responseBytes = response.bytes.length;
    if (this.#bodies !== undefined) {
      const name = response.failed ? 'error' : 'result';
      this.#bodies = { ...this.#bodies, [name]: this.#bodyIn(response, [name]) };
    }
    const isPlain = this.#readers.isSelective === true || lacks(response, ['isError', 'input_required', 'taskId']);
    if (!response.failed && isPlain) {
      this.#end = { outcome: 'ok', responseBytes };
      return;
    }
    const read = responseMembers(response);
    if (response.failed) {
      const code = read('code');
      this.failed(
        { code: typeof code === 'number' ? code : undefined, data: { reason: read('reason') } },
        responseBytes,
      );
    } else if (read('resultType') === 'input_required') {
      this.#end = { outcome: 'input_required', responseBytes };
    } else {
      const task = read('resultType') === 'task' ? read('task') : read('legacyTask');
      if (typeof task === 'string') this.#about = { task: cut(task), ...this.#about };
      const isError = read(this.#about.method === 'tasks/get' ? 'isTaskError' : 'isError');
      this.#end = { outcome: isError === true ? 'tool_error' : 'ok', responseBytes };
    }
  }

  failed({ code, message, data }: Failure, responseBytes: number): void {
    if (message !== undefined && this.#bodies !== undefined)
      this.#bodies = { ...this.#bodies, error: this.#readers.readBody?.({ code, message, data }) };
    const reason = data?.['reason'];
    this.#end =
      typeof reason === 'string' && denials.has(reason)
        ? { outcome: 'denied', reason, responseBytes }
        : { outcome: 'error', code, responseBytes };
  }

  /** The call ended before it began. */
  refused(failure: Failure): void {
    this.failed(failure, 0);
    this.make();
  }

  /** The call is over. Later calls do nothing. */
  make(): void {
    if (this.#isMade) return;
    this.#isMade = true;
    const { onRequest, onSession } = this.#readers;
    const { method, tool, resource, prompt, task, requestBytes } = this.#about;
    const { caller, client } = this.#origin;
    const { clientInfo, session } = this.#facts;
    const { outcome, code, reason, responseBytes } = this.#end;
    const durationMs = Math.round((performance.now() - this.#startedAt) * 1000) / 1000;
    // Written out, since spreading four objects takes three microseconds.
    onRequest?.(
      {
        method,
        tool,
        resource,
        prompt,
        task,
        caller,
        client,
        clientInfo,
        session,
        outcome,
        code,
        reason,
        durationMs,
        requestBytes,
        responseBytes,
      },
      this.#bodies,
    );
    if (this.#opening?.revision === undefined || onSession === undefined) return;
    const origin = { caller, client, clientInfo, session };
    onSession({ ...origin, change: 'opened' });
    this.#opening.whenOver(() => onSession({ ...origin, change: 'closed' }));
  }

  #bodyIn(message: RpcMessage, path: readonly string[]): unknown {
    const { length } = message.bytes;
    if (length > maxBodyBytes) return `[message of ${length} bytes]`;
    // What has been parsed of a larger message lacks its long texts.
    const isWhole = message.envelope !== undefined || length <= maxParsedBytes;
    const json: unknown = isWhole ? message.json : JSON.parse(inOnePiece(message.bytes).toString());
    return this.#readers.readBody?.(path.reduce<unknown>(memberOf, json));
  }
}

const requestMembers = memberReader({
  name: ['params', 'name'],
  uri: ['params', 'uri'],
  promptRef: ['params', 'ref', 'name'],
  resourceRef: ['params', 'ref', 'uri'],
  task: ['params', 'taskId'],
});

const clientMembers = memberReader({
  name: ['params', 'clientInfo', 'name'],
  version: ['params', 'clientInfo', 'version'],
});

const envelopeMembers = memberReader({
  name: ['params', '_meta', clientInfoKey, 'name'],
  version: ['params', '_meta', clientInfoKey, 'version'],
});

const responseMembers = memberReader({
  isError: ['result', 'isError'],
  resultType: ['result', 'resultType'],
  /** What the call has become, in SEP-2663 and in 2025-11-25. */
  task: ['result', 'taskId'],
  legacyTask: ['result', 'task', 'taskId'],
  /** Of the call that has become a task (SEP-2663). */
  isTaskError: ['result', 'result', 'isError'],
  code: ['error', 'code'],
  reason: ['error', 'data', 'reason'],
});

/** Reads members without parsing a large message that nobody else has parsed. */
function memberReader<Key extends string>(
  paths: Readonly<Record<Key, readonly string[]>>,
): (message: RpcMessage) => (key: Key) => unknown {
  const tree = pathTree(paths);
  return (message) => {
    if (message.envelope === undefined || message.bytes.length <= maxParsedBytes)
      return (key) => paths[key].reduce<unknown>(memberOf, message.json);
    const bytes = inOnePiece(message.bytes);
    const { spans } = locateMembers(bytes, tree);
    return (key) => {
      const { start, end } = spans.get(key) ?? { start: 0, end: 0 };
      return end === 0 || end - start > maxNameBytes ? undefined : JSON.parse(bytes.toString('utf8', start, end));
    };
  };
}

/** Whether the bytes certainly have none of these texts; searching them takes less time than reading them. */
function lacks({ bytes }: RpcMessage, texts: readonly string[]): boolean {
  return Buffer.isBuffer(bytes) && !texts.some((text) => bytes.includes(text)) && !bytes.includes('\\u');
}

function nameIn(request: RpcRequest): Pick<RequestReport, 'tool' | 'resource' | 'prompt' | 'task'> {
  const { method } = request;
  if (method.startsWith('tasks/')) {
    const task = requestMembers(request)('task');
    return typeof task === 'string' ? { task: cut(task) } : {};
  }
  if (!/^(?:tools|prompts|resources|completion)\/(?!(?:templates\/)?list$)/.test(method)) return {};
  const read = requestMembers(request);
  const [name, uri] = method.startsWith('completion/')
    ? [read('promptRef'), read('resourceRef')]
    : [read('name'), read('uri')];
  // A resource can have the password or key of a service in its URI.
  if (typeof uri === 'string') return { resource: cut(redactUrl(uri)) };
  if (typeof name !== 'string') return {};
  return method.startsWith('tools/') ? { tool: cut(name) } : { prompt: cut(name) };
}

/** What the client says it is in `initialize`, or in the envelope of a modern request, which may leave it out. */
function clientIn(request: RpcRequest): SessionFacts {
  const isOpening = request.method === 'initialize';
  const read = (isOpening ? clientMembers : envelopeMembers)(request);
  const [name, version] = [read('name'), read('version')].map((text) => (typeof text === 'string' ? cut(text) : ''));
  return name === '' && !isOpening ? {} : { clientInfo: { name: name ?? '', version: version ?? '' } };
}

function cut(text: string): string {
  return text.slice(0, maxNameLength);
}
