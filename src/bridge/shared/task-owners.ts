import { piecesOf } from '../../platform/bytes.ts';
import { memberOf, type RpcMessage, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { makeRoom } from '../limits.ts';

/** Elicitations and tasks whose client is remembered; beyond it the oldest is forgotten. */
const maxTaskOwners = 1000;

/** Longer names are not remembered, so that the table is bounded in bytes too. */
const maxNameLength = 1024;

/** An error that tells the client to visit addresses first (MCP 2025-11-25, elicitation, URL mode). */
const urlElicitationRequired = -32042;

/** A result without it names no task, and need not be looked into. */
const taskName: Buffer = Buffer.from('"task"');

const relatedTask = 'io.modelcontextprotocol/related-task';

type Kind = 'elicitation' | 'task';

/** Which client an elicitation or a task belongs to, of which the server speaks after its call is over. */
export class TaskOwners<Owner> {
  readonly #owners = new Map<string, Owner>();

  /** Remembers what of an answer, or of a server request, will be spoken of later without a request: elicitations and tasks. */
  remember(message: RpcResponse | RpcRequest, owner: Owner): void {
    if (message.kind === 'request') {
      this.#add('elicitation', memberOf(message.json['params'], 'elicitationId'), owner);
      return;
    }
    if (!message.failed && !piecesOf(message.bytes).some((piece) => piece.includes(taskName))) return;
    const { json } = message;
    this.#add('task', memberOf(memberOf(json['result'], 'task'), 'taskId'), owner);
    const { error } = json;
    if (memberOf(error, 'code') !== urlElicitationRequired) return;
    const elicitations = memberOf(memberOf(error, 'data'), 'elicitations');
    if (!Array.isArray(elicitations)) return;
    for (const each of elicitations) this.#add('elicitation', memberOf(each, 'elicitationId'), owner);
  }

  /** Whom an elicitation or task concerns that a message names. Of `named`, false means that it names none. */
  ownerOf({ json }: RpcMessage): { readonly named: boolean; readonly owner: Owner | undefined } {
    const { method, params } = json;
    let kind: Kind = 'task';
    let name = memberOf(memberOf(memberOf(params, '_meta'), relatedTask), 'taskId');
    if (method === 'notifications/tasks/status') {
      name = memberOf(params, 'taskId');
    } else if (method === 'notifications/elicitation/complete') {
      kind = 'elicitation';
      name = memberOf(params, 'elicitationId');
    } else if (name === undefined) {
      return { named: false, owner: undefined };
    }
    return { named: true, owner: typeof name === 'string' ? this.#owners.get(keyOf(kind, name)) : undefined };
  }

  /** The client has gone. */
  release(owner: Owner): void {
    for (const [key, each] of this.#owners) if (each === owner) this.#owners.delete(key);
  }

  clear(): void {
    this.#owners.clear();
  }

  #add(kind: Kind, name: unknown, owner: Owner): void {
    if (typeof name !== 'string' || name.length > maxNameLength) return;
    const key = keyOf(kind, name);
    // Who was there first keeps it: a server that takes up a name again must not give it away.
    if (this.#owners.has(key)) return;
    makeRoom(this.#owners, maxTaskOwners);
    this.#owners.set(key, owner);
  }
}

function keyOf(kind: Kind, name: string): string {
  return `${kind} ${name}`;
}
