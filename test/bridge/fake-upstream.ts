// A server in memory: it says what the test makes it say, and remembers what it was sent.
import type { RequestId, RpcMessage } from '../../src/mcp/json-rpc.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../../src/bridge/upstream/upstream.ts';
import { gate } from '../harness/gate.ts';

export interface FakeUpstream extends Upstream {
  /** Everything that it was sent, as text, in order. */
  readonly sent: string[];
  readonly started: boolean;
  readonly closeCalls: number;
  readonly paused: boolean;
  readonly pauses: number;
  /** Whether it takes what it is sent; true at first. */
  accepting: boolean;
  /** Called with each message that it is sent. */
  onSent: (line: string) => void;
  /** Says something. */
  say(message: RpcMessage, origin?: RequestId): void;
  /** Loses its connection, and goes on. */
  lose(end?: Partial<UpstreamEnd>): void;
  /** Makes it take nothing more for now, and again. */
  fill(): void;
  drain(): void;
  /** Ends of its own accord. */
  die(end?: Partial<UpstreamEnd>): void;
  /** Keeps `close` from resolving until it is called. */
  readonly holdEnd: () => () => void;
}

export function createFakeUpstream(): FakeUpstream {
  let events: UpstreamEvents | undefined;
  let over = false;
  let paused = false;
  let pauses = 0;
  let closeCalls = 0;
  let waiting: (() => void)[] | undefined;
  let held = Promise.resolve();
  const sent: string[] = [];

  function die(end: Partial<UpstreamEnd> = {}): void {
    if (over) return;
    over = true;
    events?.onClose({
      reason: 'the server exited with code 1',
      code: 'upstream_exited',
      exitCode: 1,
      stderr: '',
      ...end,
    });
  }

  const fake: FakeUpstream = {
    sent,
    accepting: true,
    onSent() {},
    get started() {
      return events !== undefined;
    },
    get closeCalls() {
      return closeCalls;
    },
    get paused() {
      return paused;
    },
    get pauses() {
      return pauses;
    },
    start(given) {
      if (events !== undefined) throw new Error('started twice');
      events = given;
    },
    send(message) {
      if (over || !fake.accepting) return false;
      const line = message.bytes.toString();
      sent.push(line);
      fake.onSent(line);
      return true;
    },
    isWritable: () => waiting === undefined,
    whenWritable(callback) {
      if (waiting === undefined) callback();
      else waiting.push(callback);
    },
    fill: () => void (waiting = []),
    drain() {
      const released = waiting ?? [];
      waiting = undefined;
      for (const callback of released) callback();
    },
    pause() {
      paused = true;
      pauses++;
    },
    resume() {
      paused = false;
    },
    async close() {
      closeCalls++;
      await held;
      if (events !== undefined) die({ reason: 'the server was ended by SIGTERM', signal: 'SIGTERM' });
    },
    say(message, origin) {
      if (over) throw new Error('it has ended');
      events?.onMessage(message, origin);
    },
    lose(end = {}) {
      events?.onLost?.({ reason: 'the server exited with code 1', code: 'upstream_exited', stderr: '', ...end });
    },
    die,
    holdEnd() {
      const { opened, open } = gate();
      held = opened;
      return open;
    },
  };
  return fake;
}
