import type { RequestId, RpcMessage, RpcNotification, RpcRequest, RpcResponse } from './rpc-message.ts';
import type { Envelope } from './envelope.ts';

type Json = Readonly<Record<string, unknown>>;

/** A message of which only the envelope has been read. It is parsed on the first access to `json`. */
export function lazyMessage(bytes: Buffer, envelope: Envelope): RpcMessage {
  const { id, method } = envelope;
  if (method !== undefined) {
    return id === undefined
      ? new LazyNotification(bytes, envelope, method)
      : new LazyRequest(bytes, envelope, id, method);
  }
  if (id === undefined) throw new Error('the envelope has neither method nor id');
  return new LazyResponse(bytes, envelope, id, envelope.failed);
}

/** Like `lazyMessage`, for a request that has got another id, and perhaps another progress token. */
export function lazyRequest(
  bytes: Buffer,
  envelope: Envelope,
  id: RequestId,
  requestToken: RequestId | undefined,
): RpcRequest {
  if (envelope.method === undefined) throw new Error('the envelope is not that of a request');
  return new LazyRequest(bytes, renumbered(envelope, id, requestToken), id, envelope.method);
}

/** Like `lazyMessage`, for a response that has got another id. */
export function lazyResponse(bytes: Buffer, envelope: Envelope, id: RequestId): RpcResponse {
  return new LazyResponse(bytes, renumbered(envelope, id, undefined), id, envelope.failed);
}

/** Written out, since this is done for every message, and a spread takes ten times as long. */
function renumbered(
  { method, failed, mayHaveMeta, progressToken }: Envelope,
  id: RequestId,
  requestToken: RequestId | undefined,
): Envelope {
  return { id, idSpan: undefined, method, failed, mayHaveMeta, progressToken, requestToken };
}

/** A class, since a spread does not copy getters: the envelope would be wrong for the new message. */
class LazyMessage {
  readonly bytes: Buffer;
  readonly #envelope: Envelope;
  #json: Json | undefined;

  constructor(bytes: Buffer, envelope: Envelope) {
    this.bytes = bytes;
    this.#envelope = envelope;
  }

  get envelope(): Envelope {
    return this.#envelope;
  }

  get json(): Json {
    this.#json ??= parsed(this.bytes);
    return this.#json;
  }
}

class LazyRequest extends LazyMessage implements RpcRequest {
  readonly kind = 'request';
  readonly id: RequestId;
  readonly method: string;

  constructor(bytes: Buffer, envelope: Envelope, id: RequestId, method: string) {
    super(bytes, envelope);
    this.id = id;
    this.method = method;
  }
}

class LazyNotification extends LazyMessage implements RpcNotification {
  readonly kind = 'notification';
  readonly method: string;

  constructor(bytes: Buffer, envelope: Envelope, method: string) {
    super(bytes, envelope);
    this.method = method;
  }
}

class LazyResponse extends LazyMessage implements RpcResponse {
  readonly kind = 'response';
  readonly id: RequestId;
  readonly failed: boolean;

  constructor(bytes: Buffer, envelope: Envelope, id: RequestId, failed: boolean) {
    super(bytes, envelope);
    this.id = id;
    this.failed = failed;
  }
}

function parsed(bytes: Buffer): Json {
  const value: unknown = JSON.parse(bytes.toString());
  if (!isObject(value)) throw new Error('a message with an envelope is not an object');
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
