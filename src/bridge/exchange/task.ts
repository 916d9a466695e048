import { memberOf, rpcCode, type RequestId, type RpcNotification, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { maxOpenServerRequests } from '../limits.ts';
import { callFailure, maxCalls, tooManyCalls } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import {
  describedTaskIn,
  detailedTask,
  isTerminal,
  outcomeOf,
  taskCreated,
  taskNotification,
  taskResponse,
  type LegacyTask,
  type TaskIdentity,
} from '../translate/legacy-tasks.ts';
import type { ClientCall, ServerSide } from './client-call.ts';
import type { ServerRequest } from './input-request.ts';
import type { LegacyPeer } from './legacy-peer.ts';
import { OpenInputs } from './open-inputs.ts';
import type { RunningCall } from './running-call.ts';

/** What a task uses of its connection. */
export interface TaskContext {
  readonly peer: LegacyPeer;
  readonly server: ServerSide;
  /** Whether somebody subscribes to the changes of this task. */
  isWatched(taskId: string): boolean;
  /** Tells them. @param onTaken called when one of them has taken it. */
  publish(taskId: string, notification: RpcNotification, onTaken: () => void): void;
  /** The connection is in use. */
  touch(): void;
  /** The client knows what has come of it: it need not keep its connection any more. Called once. */
  onSettled(task: Task): void;
}

export interface TaskOptions extends TaskIdentity {
  /** Who may see it. */
  readonly owner: string;
  /** As the server has created it. */
  readonly created: LegacyTask;
  /** Those of the client that has made it. */
  readonly capabilities: unknown;
  readonly context: TaskContext;
}

/**
 * A task of a legacy server, for modern clients (SEP-2663). What the server asks in it comes only to whoever waits for its
 * result (MCP 2025-11-25, tasks, "Input Required Status"), so its result is waited for here. It is not kept: the server has it, and
 * gives it again.
 */
export class Task implements RunningCall {
  readonly isInteractive = true;
  readonly isHeld = false;
  readonly call = undefined;
  /** As clients know it: nobody can guess it, whatever the server calls it. */
  readonly id: string;
  readonly owner: string;
  readonly taskId: string;
  readonly capabilities: unknown;
  readonly #options: TaskOptions;
  readonly #inputs = new OpenInputs();
  /** The request that waits for the result. */
  #waitingId: RequestId | undefined;
  #isSettled = false;
  #isPublishing = false;
  #hasChanged = false;

  constructor(options: TaskOptions) {
    this.id = options.taskId;
    this.owner = options.owner;
    this.taskId = options.created.taskId;
    this.capabilities = options.capabilities;
    this.#options = options;
    this.#wait();
  }

  /** The client knows what has come of it, or there is nothing to know. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  isOf(context: TaskContext): boolean {
    return this.#options.context === context;
  }

  get isAsking(): boolean {
    return this.#inputs.size > 0;
  }

  get isRunning(): boolean {
    return this.#waitingId !== undefined;
  }

  get upstreamId(): RequestId | undefined {
    return this.#waitingId;
  }

  /** Answers the call of which it was made. */
  tell(call: ClientCall): void {
    const { created, context } = this.#options;
    call.answer(taskCreated(created, this.#options), context.server);
  }

  /** `tasks/get` */
  get(call: ClientCall): void {
    const { context } = this.#options;
    if (context.peer.size >= maxCalls) {
      call.fail(tooManyCalls);
      return;
    }
    let asked: RequestId | undefined;
    call.whenCancelled(() => {
      if (asked !== undefined) context.peer.cancel(asked, 'the client has cancelled it');
    });
    context.touch();
    this.#look(
      (task, isOver) => {
        const response = taskResponse(task);
        const isHeard = response !== undefined && call.isOpen();
        if (response === undefined) call.fail(unreadable);
        else call.answer(response, context.server);
        if (isOver && isHeard) this.#settle('the task has ended');
      },
      (failure) => {
        if ('kind' in failure) call.answer(failure, context.server);
        else call.fail(failure);
      },
      (id) => {
        asked = id;
      },
    );
  }

  /** `tasks/update` */
  update(call: ClientCall): void {
    if (!isObject(memberOf(call.request.json['params'], 'inputResponses'))) {
      call.fail(noResponses);
      return;
    }
    if (this.#inputs.takeAnswers(call.request)) this.changed();
    call.answerWith({}, this.#options.context.server);
  }

  /** `tasks/cancel`: the server may go on all the same, and what it asks from now on is refused. */
  cancel(call?: ClientCall): void {
    this.#options.context.peer.tell('tasks/cancel', { taskId: this.taskId }, () => this.changed());
    this.#settle('the task was cancelled');
    call?.answerWith({}, this.#options.context.server);
  }

  ask(request: ServerRequest): void {
    if (this.#inputs.size >= maxOpenServerRequests) {
      request.giveUp();
      return;
    }
    this.#inputs.add(request);
    this.changed();
  }

  withdraw(id: RequestId): boolean {
    if (!this.#inputs.withdraw(id)) return false;
    this.changed();
    return true;
  }

  forgetServerRequests(): void {
    this.#inputs.forgetServerRequests();
  }

  /** The error that the server gets makes the task fail, if it matters. */
  refused(): void {}

  /** Tasks have none (SEP-2663, "Task Status Notifications"). */
  progressed(): void {}

  /** Whoever opens an address says so in `tasks/update`. */
  elicitationCompleted(): void {}

  lose(): void {
    this.#waitingId = undefined;
    this.#inputs.clear();
    this.#settle('the server has exited');
  }

  /** Something about it may be different now. One look at a time: what is told last is what was seen last. */
  changed(): void {
    const { context } = this.#options;
    if (!context.isWatched(this.id)) return;
    this.#hasChanged = this.#isPublishing;
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    const done = (): void => {
      this.#isPublishing = false;
      if (this.#hasChanged) this.changed();
    };
    this.#look((task, isOver) => {
      const notification = taskNotification(task);
      const onTaken = (): void => {
        if (isOver) this.#settle('the task has ended');
      };
      if (notification !== undefined) context.publish(this.id, notification, onTaken);
      done();
    }, done);
  }

  /** Waits for the result, and for what the server asks until then. */
  #wait(): void {
    const { peer } = this.#options.context;
    const id = peer.nextId();
    this.#waitingId = id;
    const over = (): void => {
      if (this.#waitingId !== id) return;
      this.#waitingId = undefined;
      this.changed();
    };
    peer.request(newRequest(id, 'tasks/result', { taskId: this.taskId }), { answered: over, failed: over });
  }

  /**
   * @param onSeen told whether nothing can become of it any more.
   * @param onAsk told the id of each request for it, before it is sent.
   */
  #look(
    onSeen: (task: Buffer, isOver: boolean) => void,
    onFailed: (failure: RpcResponse | CallFailure) => void,
    onAsk: (id: RequestId) => void = () => {},
  ): void {
    const ask = (method: string, onAnswered: (response: RpcResponse) => void): void => {
      const id = this.#options.context.peer.nextId();
      onAsk(id);
      this.#options.context.peer.request(newRequest(id, method, { taskId: this.taskId }), {
        answered: onAnswered,
        failed: onFailed,
      });
    };
    const seen = (task: LegacyTask, outcome?: ReturnType<typeof outcomeOf>): void =>
      onSeen(detailedTask(task, this.#options, this.#inputs.texts(), outcome), isTerminal(task));
    ask('tasks/get', (response) => {
      const task = describedTaskIn(response);
      if (task === undefined) {
        onFailed(response.failed ? response : unreadable);
      } else if (isTerminal(task) && task['status'] !== 'cancelled') {
        ask('tasks/result', (result) => seen(task, outcomeOf(result)));
      } else {
        // The connection may have been lost on which it was waited for.
        if (this.#waitingId === undefined && !this.#isSettled) this.#wait();
        seen(task);
      }
    });
  }

  #settle(reason: string): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const { context } = this.#options;
    if (this.#waitingId !== undefined) context.peer.cancel(this.#waitingId, reason);
    this.#waitingId = undefined;
    this.#inputs.giveUp();
    context.onSettled(this);
  }
}

const unreadable: CallFailure = callFailure('message_unreadable', 'the server does not say how the task stands');

const noResponses: CallFailure = { code: rpcCode.invalidParams, message: 'params.inputResponses is not an object' };
