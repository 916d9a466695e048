import type { RequestId, RpcMessage, RpcNotification, RpcRequest, RpcResponse } from './json-rpc.ts';
import type { Outline } from './outline.ts';

type Json = Readonly<Record<string, unknown>>;

/** A message of which no more than the outline has been read. It is parsed when somebody looks into it. */
export function outlinedMessage(bytes: Buffer, outline: Outline): RpcMessage {
  const { id, method } = outline;
  if (method !== undefined) {
    return id === undefined
      ? new OutlinedNotification(bytes, outline, method)
      : new OutlinedRequest(bytes, outline, id, method);
  }
  return outlinedResponse(bytes, outline);
}

/** As `outlinedMessage`, of what is known to be a response. */
export function outlinedResponse(bytes: Buffer, outline: Outline): RpcResponse {
  const { id, failed } = outline;
  if (id === undefined) throw new Error('the outline is that of no message');
  return new OutlinedResponse(bytes, outline, id, failed);
}

/** What is not its own is not copied into a message that is made of it: the outline would not be that one's. */
class OutlinedMessage {
  readonly bytes: Buffer;
  readonly #outline: Outline;
  #json: Json | undefined;

  constructor(bytes: Buffer, outline: Outline) {
    this.bytes = bytes;
    this.#outline = outline;
  }

  get outline(): Outline {
    return this.#outline;
  }

  get json(): Json {
    this.#json ??= parsed(this.bytes);
    return this.#json;
  }
}

class OutlinedRequest extends OutlinedMessage implements RpcRequest {
  readonly kind = 'request';
  readonly id: RequestId;
  readonly method: string;

  constructor(bytes: Buffer, outline: Outline, id: RequestId, method: string) {
    super(bytes, outline);
    this.id = id;
    this.method = method;
  }
}

class OutlinedNotification extends OutlinedMessage implements RpcNotification {
  readonly kind = 'notification';
  readonly method: string;

  constructor(bytes: Buffer, outline: Outline, method: string) {
    super(bytes, outline);
    this.method = method;
  }
}

class OutlinedResponse extends OutlinedMessage implements RpcResponse {
  readonly kind = 'response';
  readonly id: RequestId;
  readonly failed: boolean;

  constructor(bytes: Buffer, outline: Outline, id: RequestId, failed: boolean) {
    super(bytes, outline);
    this.id = id;
    this.failed = failed;
  }
}

function parsed(bytes: Buffer): Json {
  const value: unknown = JSON.parse(bytes.toString());
  if (!isObject(value)) throw new Error('what has an outline is an object');
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
