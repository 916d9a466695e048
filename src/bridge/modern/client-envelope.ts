import { inOnePiece } from '../../platform/bytes.ts';
import { tasksExtension } from '../../mcp/envelope-keys.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import { editMembers, editPlan, set, type EditPlan } from '../../mcp/json/edit-members.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { modernCapabilities } from '../translate/capabilities.ts';
import { compileEnvelope, stampEnvelope } from '../translate/envelope.ts';

const withTasks = editPlan([[['extensions', tasksExtension], set('{}')]]);

/** What a legacy client says once, and a modern one in each request: who it is, what it can do, what it wants to hear. */
export class ClientEnvelope {
  #clientInfo: Buffer | undefined;
  #capabilities: Buffer = Buffer.from('{}');
  #level: string | undefined;
  #plan: EditPlan = compileEnvelope({ clientCapabilities: this.#capabilities });

  /** What the client has declared, as JSON.parse gives it. */
  get capabilities(): unknown {
    return JSON.parse(this.#capabilities.toString());
  }

  /** The client opens its session. */
  begin(initialize: RpcRequest): void {
    const bytes = inOnePiece(initialize.bytes);
    const [info, capabilities] = ['clientInfo', 'capabilities'].map((name) => {
      const span = spanOf(bytes, ['params', name]);
      return span && Buffer.from(bytes.subarray(span.start, span.end));
    });
    this.#clientInfo = info;
    this.#capabilities = modernCapabilities(capabilities ?? Buffer.from('{}'));
    this.#compile();
  }

  /** Declares tasks, of which the client knows nothing: we wait for them in its place (SEP-2663). */
  declareTasks(): void {
    this.#capabilities = inOnePiece(editMembers(this.#capabilities, withTasks).bytes);
    this.#compile();
  }

  setLevel(level: string): void {
    this.#level = level;
    this.#compile();
  }

  stamp(request: RpcRequest): RpcRequest {
    return stampEnvelope(request, this.#plan);
  }

  #compile(): void {
    this.#plan = compileEnvelope({
      clientCapabilities: this.#capabilities,
      clientInfo: this.#clientInfo,
      logLevel: this.#level,
    });
  }
}
