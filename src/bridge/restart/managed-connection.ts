import type { Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import type { Era } from '../../mcp/revisions.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import { deniesEra } from '../era/verdict.ts';
import { runsOnce, type Coexistence, type Process } from './coexistence.ts';
import type { UpstreamHealth } from './upstream-health.ts';

/**
 * A process that has worked this long beside another one does not disturb it, and is not disturbed, in milliseconds.
 * Counted from its first message: by then it has opened its port, its lock file or its browser profile.
 */
const settleMs = 2000;

/** What the connections to one server share. */
export interface ConnectionOwner {
  /**
   * Makes a connection in an era, not yet started; what it has to say to the user is of interest only while `isWanted()`.
   * @param isBrief it is to be asked what the server is, and for nothing else.
   */
  readonly connect: (isWanted: () => boolean, era: Era, isBrief: boolean) => Upstream;
  readonly coexistence: Coexistence;
  readonly health: UpstreamHealth;
  readonly clock: Clock;
  /** A connection has said something to its client. */
  readonly onWorks: () => void;
  /** A connection was answered as a server of the other era does. */
  readonly onDoubt?: (() => void) | undefined;
  /** A connection that was warm has ended before it was of use to anybody. */
  readonly onUnused: (connection: ManagedConnection, reason: string) => void;
}

/**
 * `warm`: started, unread, and nobody has it yet. `starting`: it has said nothing to its client. `settled`: it has worked for
 * `settleMs`. `ending`: it was asked to end, or has ended; what it has left behind may not be gone. `refused`: it was not
 * started, since it would end another one.
 */
type State = 'new' | 'warm' | 'starting' | 'heard' | 'settled' | 'ending' | 'refused';

/** One connection to a server, from its start to its end: what happens to it is told to all that the server consists of. */
export class ManagedConnection implements Upstream, Process {
  readonly isBrief: boolean;
  hasWorked = false;
  ended: Promise<void> | undefined;
  readonly isWritable = (): boolean => this.#upstream.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#upstream.whenWritable(callback);
  readonly pause = (): void => this.#upstream.pause();
  readonly resume = (): void => this.#upstream.resume();
  readonly #owner: ConnectionOwner;
  readonly #upstream: Upstream;
  readonly #era: Era;
  #state: State = 'new';
  #events: UpstreamEvents | undefined;
  /** Place in the order of all connections to the server. */
  #place = 0;
  #cancelSettling: (() => void) | undefined;
  /** What it was sent since it was warm and before it has said anything: another connection can get the same. */
  #early: RpcMessage[] | undefined;
  /** Of one that has ended before it was started by whoever has taken it. */
  #endWhenStarted: UpstreamEnd | undefined;
  #isClosed = false;

  /** @param isBrief no other connection is made before it is gone. */
  constructor(owner: ConnectionOwner, isBrief = false, era: Era = 'legacy') {
    this.#owner = owner;
    this.isBrief = isBrief;
    this.#era = era;
    this.#upstream = owner.connect(() => this.#events !== undefined, era, isBrief);
  }

  get isSettled(): boolean {
    return this.#state === 'settled';
  }

  /** Starts it before anybody needs it. Nothing is sent to it, and what it says waits in its pipe. */
  warmUp(): void {
    this.#early = [];
    this.#run('warm');
    this.#upstream.pause();
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    if (this.#state === 'new') {
      this.#run('starting');
    } else if (this.#state === 'warm') {
      this.#state = 'starting';
      this.#upstream.resume();
    } else {
      const end = this.#endWhenStarted;
      if (end !== undefined) queueMicrotask(() => events.onClose(end));
    }
  }

  send(message: RpcMessage): boolean {
    // Why it was not started is about to be told.
    if (this.#state === 'refused') return true;
    if (message.kind === 'request' && message.method === 'tools/call') this.hasWorked = true;
    if (this.#early === undefined) return this.#upstream.send(message);
    this.#early.push(message);
    // It has died, which its end is about to tell, or does not read. Another one takes its place.
    if (!this.#upstream.send(message)) void this.#end();
    return true;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#end();
  }

  #run(state: 'warm' | 'starting'): void {
    const { coexistence, health } = this.#owner;
    if (!coexistence.admit(this)) {
      this.#state = 'refused';
      queueMicrotask(() => this.#events?.onClose({ reason: runsOnce, code: 'upstream_not_started', stderr: '' }));
      return;
    }
    this.#state = state;
    this.#place = health.started();
    this.#upstream.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#events?.onLost?.(end),
      onClose: (end) => this.#lose(end),
    });
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    const { health, onDoubt } = this.#owner;
    health.heard(this.#place, this.#state === 'ending');
    if (onDoubt !== undefined && message.kind === 'response' && deniesEra(this.#era, message)) onDoubt();
    if (this.#events === undefined) return;
    this.#early = undefined;
    if (this.#state === 'starting') this.#hear();
    this.#events.onMessage(message, origin);
  }

  /** It has said something to its client for the first time. */
  #hear(): void {
    const { coexistence, clock, onWorks } = this.#owner;
    this.#state = 'heard';
    if (!this.isBrief) onWorks();
    if (!coexistence.heard(this)) return;
    this.#cancelSettling = clock.after(settleMs, () => {
      this.#state = 'settled';
      coexistence.settled(this);
    });
  }

  #lose(given: UpstreamEnd): void {
    const { coexistence, health, onUnused } = this.#owner;
    const wasAsked = this.#state === 'ending';
    health.ended(this.#place, wasAsked ? undefined : given.reason);
    const end = wasAsked ? given : coexistence.judge(this, given);
    // It may have left others behind, which hold what it held.
    void this.#end();
    // A single message begins a connection and does nothing else.
    if (this.#early === undefined || this.#isClosed || this.#early.length > 1) {
      this.#events?.onClose(end);
    } else {
      onUnused(this, end.reason);
      const unused: UpstreamEnd = { ...end, untaken: this.#early, isUnused: true };
      if (this.#events === undefined) this.#endWhenStarted = unused;
      else this.#events.onClose(unused);
    }
  }

  #end(): Promise<void> {
    if (this.ended !== undefined) return this.ended;
    this.#state = 'ending';
    this.#cancelSettling?.();
    this.ended = this.#upstream.close().finally(() => this.#owner.coexistence.gone(this));
    return this.ended;
  }
}
