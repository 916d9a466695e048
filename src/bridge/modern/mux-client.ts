import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import { ClientSession } from '../shared/client-session.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import type { CallOwner } from './calls-in-flight.ts';

/** What a client uses of the connection that it shares with others. */
export interface MuxConnection<Client> extends Pick<Upstream, 'isWritable' | 'whenWritable'> {
  join(client: Client): void;
  sendFor(client: Client, message: RpcMessage): boolean;
  leave(client: Client): void;
  /** Notifications for it are dropped, since it does not read. */
  warnUnread(): void;
  /** So much waits for it that nothing more should be read from the server; and that this is over. */
  holdUp(client: Client): void;
  drained(client: Client): void;
}

/** The upstream of one client over a connection that it shares, which `close` leaves running. A class, since each exchange has one. */
export class MuxClient<Label> implements Upstream, CallOwner<MuxClient<Label>> {
  readonly calls: CallOwner<MuxClient<Label>>['calls'] = new Map();
  /** What is known of the client. */
  readonly label: Label | undefined;
  readonly #connection: MuxConnection<MuxClient<Label>>;
  /**
   * Undefined before the start and after the end. V8 keeps what was in a table that a Map has outgrown until a full collection: a
   * client that has left must not hold its HTTP request.
   */
  #session: ClientSession | undefined;

  constructor(connection: MuxConnection<MuxClient<Label>>, label: Label | undefined) {
    this.#connection = connection;
    this.label = label;
  }

  /** As in `ModernCall`. */
  get party(): unknown {
    return this.label ?? this;
  }

  /** As in `ClientSession`. */
  get isFull(): boolean {
    return this.#session?.isFull === true;
  }

  start(events: UpstreamEvents): void {
    const connection = this.#connection;
    this.#session = new ClientSession({
      events,
      onDropped: () => connection.warnUnread(),
      onFull: () => connection.holdUp(this),
      onDrained: () => connection.drained(this),
    });
    connection.join(this);
  }

  send(message: RpcMessage): boolean {
    return this.#session !== undefined && this.#connection.sendFor(this, message);
  }

  isWritable(): boolean {
    return this.#connection.isWritable();
  }

  whenWritable(callback: () => void): void {
    this.#connection.whenWritable(callback);
  }

  pause(): void {
    this.#session?.pause();
  }

  resume(): void {
    this.#session?.resume();
  }

  async close(): Promise<void> {
    if (this.#session !== undefined) this.#connection.leave(this);
  }

  /** As in `ClientSession`. */
  deliver(message: RpcMessage, origin?: RequestId): void {
    this.#session?.deliver(message, origin);
  }

  /** As in `ClientSession`. */
  lose(end: UpstreamEnd): void {
    this.#session?.lose(end);
  }

  /** The server has gone: the client gets what waits for it. */
  bereave(end: UpstreamEnd): void {
    this.#session?.end(end);
    this.#session = undefined;
  }

  /** It has left, or found nothing to join. */
  dismiss(end: UpstreamEnd): void {
    this.#session?.close(end);
    this.#session = undefined;
  }
}
