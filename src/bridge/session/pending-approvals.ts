import { memberOf, requestTokenOf, rpcCode, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { newNotification } from '../../mcp/new-message.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ApprovalRule } from '../../policy/approval-rule.ts';
import type { CallFailure } from './pending-request.ts';

/** How often a client is told that its call waits, in milliseconds: clients that count progress as life wait a minute or more. */
const progressMs = 10_000;

/**
 * What is reported as progress, times the number of reports: it has to increase, also to the first report of the server,
 * which begins at about 1 (MCP 2025-11-25, progress).
 */
const progressStep = 1e-6;

/**
 * Largest call that is asked about, in bytes of its message: nobody reads more, it is kept until it is decided, and to read
 * arguments of the size of a request would hold up everybody.
 */
const maxCallBytes: number = 64 * 1024;

/** Longest name in a question, an event or an error, in characters. */
const maxNameLength = 200;

/** A call that needs approval. Names are cut. */
export interface CallToApprove {
  /** Of the request, as the server would get it. */
  readonly id: RequestId;
  readonly tool: string;
  /** JSON text, as it was sent; undefined if there are none. */
  readonly argumentsText: Buffer | undefined;
}

/** Why a call was not approved. */
export interface ApprovalRefusal {
  /** For programs: `data.reason` of the error. */
  readonly reason: string;
  /** Completes `tool not approved: rm`; empty if nothing is to be added. */
  readonly why: string;
}

/** The approvals of one session. */
export interface Approvals {
  readonly rule: Pick<ApprovalRule, 'decide'>;
  /**
   * Asks whether a call may go to the server. Never rejects.
   * @param signal aborted if nobody waits for the call any more.
   * @returns why not; undefined if it may.
   */
  ask(call: CallToApprove, signal: AbortSignal): Promise<ApprovalRefusal | undefined>;
}

export interface PendingApprovalsOptions {
  readonly ask: Approvals['ask'];
  readonly clock: Clock;
  readonly onProgress: (progress: ReturnType<typeof newNotification>) => void;
  readonly onDecided: (call: RpcRequest, failure: CallFailure | undefined) => void;
}

interface PendingApproval {
  readonly call: RpcRequest;
  readonly question: AbortController;
  readonly stopProgress: () => void;
}

/** The calls of a session that wait for approval. */
export class PendingApprovals {
  readonly #options: PendingApprovalsOptions;
  readonly #pending = new Map<RequestId, PendingApproval>();

  constructor(options: PendingApprovalsOptions) {
    this.#options = options;
  }

  has(id: RequestId): boolean {
    return this.#pending.has(id);
  }

  calls(): readonly RpcRequest[] {
    return Array.from(this.#pending.values(), ({ call }) => call);
  }

  /** Asks for a `tools/call`; the outcome comes later. */
  ask(call: RpcRequest, argumentsText: Buffer | undefined): void {
    const question = new AbortController();
    const entry = { call, question, stopProgress: this.#reportProgress(call) };
    this.#pending.set(call.id, entry);
    void this.#decide(entry, argumentsText);
  }

  /** @returns whether a call with this id was waiting. */
  withdraw(id: RequestId): boolean {
    const entry = this.#pending.get(id);
    if (entry === undefined) return false;
    this.#forget(entry);
    entry.question.abort();
    return true;
  }

  close(): void {
    for (const id of this.#pending.keys()) this.withdraw(id);
  }

  async #decide(entry: PendingApproval, argumentsText: Buffer | undefined): Promise<void> {
    const { call, question } = entry;
    const tool = toolOf(call);
    const refusal = await this.#options.ask({ id: call.id, tool, argumentsText }, question.signal);
    // Withdrawn meanwhile; another call may have its id by now.
    if (this.#pending.get(call.id) !== entry) return;
    this.#forget(entry);
    this.#options.onDecided(call, refusal && notApproved(tool, refusal));
  }

  #forget({ call, stopProgress }: PendingApproval): void {
    stopProgress();
    this.#pending.delete(call.id);
  }

  /** @returns a function that stops it. */
  #reportProgress(call: RpcRequest): () => void {
    const progressToken = requestTokenOf(call);
    if (progressToken === undefined) return () => {};
    const { clock, onProgress } = this.#options;
    let count = 0;
    const report = (): void => {
      const progress = Number((++count * progressStep).toFixed(6));
      onProgress(
        newNotification('notifications/progress', { progressToken, progress, message: 'waiting for approval' }),
      );
      stop = clock.after(progressMs, report);
    };
    // Later, as from a server: whoever has sent the call may not be ready for it before `send` returns.
    let stop = clock.after(0, report);
    return () => stop();
  }
}

/** Why a call cannot be asked about; undefined if it can. */
export function tooLargeToApprove(call: RpcRequest): CallFailure | undefined {
  if (call.bytes.length <= maxCallBytes) return undefined;
  const why = `since the request has more than ${maxCallBytes / 1024} KiB`;
  return notApproved(toolOf(call), { reason: 'too_large_to_approve', why });
}

function notApproved(tool: string, { reason, why }: ApprovalRefusal): CallFailure {
  const message = `tool not approved: ${tool}${why === '' ? '' : `, ${why}`}`;
  return { code: rpcCode.invalidParams, message, data: { reason, tool } };
}

function toolOf({ json }: RpcRequest): string {
  const name = memberOf(json['params'], 'name');
  return typeof name === 'string' ? name.slice(0, maxNameLength) : '';
}

/** The arguments of a `tools/call` as bytes, since long strings are missing in the parsed message. */
export function argumentsOf({ bytes }: RpcRequest): Buffer | undefined {
  const span = spanOf(bytes, ['params', 'arguments']);
  return span && inOnePiece(bytes).subarray(span.start, span.end);
}
