import type { ApprovalRefusal } from '../bridge/session/pending-approvals.ts';
import type { SessionApprovals } from '../bridge/session/sessions.ts';
import { messageOf } from '../errors.ts';
import { compactJson } from '../mcp/json/compact.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import { createDeferred } from '../platform/deferred.ts';
import { RecentlyUsed } from '../platform/recently-used.ts';
import { createTokenBucket, type TokenBucket } from '../platform/token-bucket.ts';
import { ApprovalRule } from '../policy/approval-rule.ts';
import type { ApprovalCall, ApprovalReport, OnApproval } from './options.ts';
import { Turns } from './turns.ts';

/** How long a call waits for approval, in milliseconds; clients wait at least a minute, and longer if they get progress. */
export const defaultApprovalTimeoutMs = 120_000;

/** Calls that wait for approval, of all callers and of one: a caller can send as many as he likes. */
const maxWaiting = 100;
const maxWaitingOfCaller = 10;

/**
 * Calls that a caller may withdraw before they are decided: each may have put a question on the terminal. One that is decided
 * does not count.
 */
const maxWithdrawn = { burst: 20, perSecond: 1 / 6 } as const;

/** Callers of whom that is counted. */
const maxCallers = 1000;

const maxWarnings = 10;

export interface RunApprovalsOptions {
  /** As `AccessOptions.approve`. */
  readonly approve: readonly string[];
  /** Undefined if there is nobody to ask. */
  readonly decide: OnApproval | undefined;
  /** Ends what decides. */
  readonly endDeciding?: (() => Promise<void>) | undefined;
  readonly timeoutMs?: number | undefined;
  /** A call that was asked about has been decided or withdrawn. */
  readonly onDecided: (report: ApprovalReport) => void;
  readonly onWarning: (message: string) => void;
  readonly clock?: Clock;
}

type Asked = Parameters<SessionApprovals['ask']>[0];
type Outcome = 'approved' | 'cancelled' | keyof typeof refusals;

/** The approvals of a run. Calls are asked about one after the other, of each caller in turn, and wait meanwhile. */
export class RunApprovals {
  readonly #options: RunApprovalsOptions;
  readonly #rule: ApprovalRule;
  /** With who asks. */
  readonly #questions = new Map<AbortController, string>();
  readonly #withdrawable: RecentlyUsed<TokenBucket>;
  readonly #turns = new Turns();
  #isClosed = false;
  readonly #warned = new Set<string>();

  constructor(options: RunApprovalsOptions) {
    this.#options = options;
    this.#rule = new ApprovalRule(options.approve);
    const { clock = systemClock } = options;
    this.#withdrawable = new RecentlyUsed(maxCallers, () => createTokenBucket({ ...maxWithdrawn, clock }));
  }

  /** @param server its name, if there are several. */
  forServer(server: string | undefined): SessionApprovals {
    return {
      rule: this.#rule,
      ask: (call, signal) => this.#ask(call, server, signal),
    };
  }

  /** Refuses what waits, and all further calls. Safe to call twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const question of this.#questions.keys()) question.abort('approval_ended');
    await this.#options.endDeciding?.();
  }

  async #ask(asked: Asked, server: string | undefined, signal: AbortSignal): Promise<ApprovalRefusal | undefined> {
    const { decide, timeoutMs = defaultApprovalTimeoutMs } = this.#options;
    if (this.#isClosed) return refusalOf('approval_ended', timeoutMs);
    if (decide === undefined) return refusalOf('approval_unavailable', timeoutMs);
    const withdrawable = this.#withdrawable.at(asked.caller);
    const excess = this.#excessOf(asked.caller) ?? (withdrawable.take(1) ? undefined : 'one caller withdraws too many');
    if (excess !== undefined) {
      this.#warn(`calls that need approval are refused: ${excess}`);
      return refusalOf('too_many_approvals', timeoutMs);
    }
    const startedAt = performance.now();
    const call = callOf(asked, server);
    const outcome = await this.#outcomeOf(call, decide, timeoutMs, signal);
    if (outcome !== 'cancelled') withdrawable.add(1);
    const { caller, client, clientInfo, tool } = asked;
    this.#options.onDecided({
      outcome: outcome === 'approved' || outcome === 'cancelled' ? outcome : 'denied',
      ...(outcome in refusals ? { reason: outcome } : {}),
      ...(server === undefined ? {} : { server }),
      tool,
      caller,
      client,
      clientInfo,
      waitedMs: Math.round(performance.now() - startedAt),
    });
    return outcome === 'approved' ? undefined : refusalOf(outcome, timeoutMs);
  }

  /** @returns why no further call of the caller may wait, in words. */
  #excessOf(caller: string): string | undefined {
    if (this.#questions.size >= maxWaiting) return `${maxWaiting} wait already`;
    const ofCaller = [...this.#questions.values()].filter((other) => other === caller).length;
    return ofCaller >= maxWaitingOfCaller ? `${maxWaitingOfCaller} of one caller wait already` : undefined;
  }

  async #outcomeOf(call: ApprovalCall, decide: OnApproval, timeoutMs: number, signal: AbortSignal): Promise<Outcome> {
    const { clock = systemClock } = this.#options;
    const question = new AbortController();
    const over = createDeferred<Outcome>();
    this.#questions.set(question, call.caller);
    question.signal.addEventListener('abort', () => over.resolve(outcomeIn(question.signal)), { once: true });
    const cancel = (): void => question.abort('cancelled');
    signal.addEventListener('abort', cancel, { once: true });
    const stopTimer = clock.after(timeoutMs, () => question.abort('approval_timed_out'));
    const answer = async (): Promise<void> => {
      try {
        // Whatever a library in JavaScript returns.
        const answered: unknown = await decide(call, question.signal);
        over.resolve(answered === true ? 'approved' : 'not_approved');
      } catch (error) {
        if (!question.signal.aborted)
          this.#warn(`a call was refused, since it could not be decided: ${messageOf(error)}`);
        over.resolve('approval_failed');
      }
    };
    // What is withdrawn is over, whether or not whoever decides cares.
    void this.#turns.take(() => Promise.race([answer(), over.promise]), question.signal, call.caller);
    const outcome = await over.promise;
    stopTimer();
    signal.removeEventListener('abort', cancel);
    this.#questions.delete(question);
    return outcome;
  }

  /** Once: a caller can cause it with each call. */
  #warn(message: string): void {
    if (this.#warned.has(message) || this.#warned.size >= maxWarnings) return;
    this.#warned.add(message);
    this.#options.onWarning(message);
  }
}

const refusals = {
  not_approved: () => '',
  approval_timed_out: (timeoutMs: number) => `since nobody answered within ${timeoutMs / 1000} s`,
  approval_unavailable: () => 'since there is no terminal to ask on',
  approval_failed: () => 'since it could not be decided',
  too_many_approvals: () => 'since too many calls wait for approval',
  approval_ended: () => 'since the server is shutting down',
} as const;

function refusalOf(outcome: Exclude<Outcome, 'approved'>, timeoutMs: number): ApprovalRefusal {
  // Nobody gets that of a call that was cancelled.
  return { reason: outcome, why: outcome === 'cancelled' ? '' : refusals[outcome](timeoutMs) };
}

function outcomeIn({ reason }: AbortSignal): Outcome {
  const text: unknown = reason;
  return text === 'approval_timed_out' || text === 'approval_ended' ? text : 'cancelled';
}

function callOf({ argumentsText, ...about }: Asked, server: string | undefined): ApprovalCall {
  return {
    ...about,
    ...(server === undefined ? {} : { server }),
    // Made when they are read: those that wait would take many times their size.
    get arguments(): unknown {
      return argumentsText === undefined ? undefined : JSON.parse(argumentsText.toString());
    },
    get argumentsJson() {
      return argumentsText === undefined ? undefined : compactJson(argumentsText);
    },
  };
}
