import { memberOf, rpcCode, type RpcMessage } from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import type { Upstream, UpstreamEvents } from '../upstream/upstream.ts';

/** In the place of a server whose era is not that of the client: each request is told the revisions that are served. */
export class RefusingUpstream implements Upstream {
  readonly #supported: readonly string[];
  #events: UpstreamEvents | undefined;

  constructor(supported: readonly string[]) {
    this.#supported = supported;
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
  }

  send(message: RpcMessage): boolean {
    if (message.kind !== 'request') return this.#events !== undefined;
    const requested = memberOf(message.json['params'], 'protocolVersion');
    const error = newError({
      id: message.id,
      code: rpcCode.unsupportedProtocolVersion,
      message: `the server speaks ${this.#supported.join(', ')} only, and nothing is translated`,
      data: { supported: this.#supported, ...(typeof requested === 'string' ? { requested } : {}) },
    });
    // Later, as a server's answer would come.
    queueMicrotask(() => this.#events?.onMessage(error));
    return this.#events !== undefined;
  }

  isWritable(): boolean {
    return true;
  }

  whenWritable(callback: () => void): void {
    callback();
  }

  pause(): void {}

  resume(): void {}

  async close(): Promise<void> {
    const events = this.#events;
    this.#events = undefined;
    events?.onClose({ code: 'upstream_exited', reason: 'the connection was closed', stderr: '' });
  }
}
