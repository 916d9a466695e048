// Many streams at once, over a carrier that is slow, full and late at random: each end receives what the other has sent.
import { expect, test } from 'vitest';
import { createRandom, type Random } from '../../../harness/random.ts';
import { muxPair, type MuxPair, type OpenRecorder } from './mux-pair.ts';

const seed = Number(process.env['MUX_SEED'] ?? 20_261_129);
const pattern = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => (at * 31 + (at >> 8) * 7) % 253));

/** What one end sends into a stream, piece by piece, and what the other one receives of it. */
class Transfer {
  readonly #stream: OpenRecorder['stream'];
  readonly #receiver: OpenRecorder;
  readonly #total: number;
  readonly #start: number;
  #sent = 0;
  /** Whether the writer is to wait for `drain`. */
  #isFull = false;
  isEnded = false;

  constructor(random: Random, sender: OpenRecorder, receiver: OpenRecorder) {
    this.#stream = sender.stream;
    this.#receiver = receiver;
    this.#total = random.below(random.pick([1, 10, 5_000, 900_000]));
    this.#start = random.below(pattern.length - this.#total);
    receiver.consumes = false;
    sender.onEvent = (event) => {
      if (event !== 'drain') return;
      if (!this.#isFull) throw new Error('drain without a wait');
      this.#isFull = false;
    };
  }

  write(random: Random): void {
    if (this.isEnded || this.#isFull) return;
    const size = Math.min(random.below(random.pick([10, 3_000, 200_000])), this.#total - this.#sent);
    const at = this.#start + this.#sent;
    this.#isFull = !this.#stream.write(pattern.subarray(at, at + size));
    this.#sent += size;
    if (this.#sent < this.#total) return;
    this.isEnded = true;
    this.#stream.end();
  }

  /** @param isWhole whether all of it should have come. */
  check(isWhole: boolean): void {
    const expected = pattern.subarray(this.#start, this.#start + (isWhole ? this.#total : this.#receiver.bytes));
    if (!this.#receiver.body.equals(expected)) throw new Error(`other bytes than were sent, ${this.#receiver.bytes}`);
  }
}

interface Call {
  readonly near: OpenRecorder;
  far?: OpenRecorder;
  upload?: Transfer;
  download?: Transfer;
  resetBy?: 'relay' | 'agent';
  /** Whether the response may end before the request, which ends the request as well. */
  readonly isEarly: boolean;
}

function deliverSome(random: Random, { relay, agent, toAgent, toRelay }: MuxPair): void {
  const [carrier, receiver] = random.pick([
    [toAgent, agent],
    [toRelay, relay],
  ] as const);
  for (const message of carrier.messages.splice(0, 1 + random.below(5))) {
    const cut = random.below(message.length + 1);
    receiver.receive(message.subarray(0, cut));
    receiver.receive(message.subarray(cut));
  }
}

function run(random: Random): { streams: number; resets: number } {
  const calls: Call[] = [];
  const pair = muxPair((request) => {
    const call = calls[request.stream.id - 1];
    if (call === undefined) throw new Error(`the stream ${request.stream.id} was not opened`);
    call.far = request;
    call.upload = new Transfer(random, call.near, request);
  });
  const total = 1 + random.below(random.pick([4, 60]));
  const resetOneIn = random.pick([10, 300, 1_000_000]);
  const open = (): Call[] => calls.filter(({ near }) => !near.stream.isClosed);
  const isOver = (): boolean => calls.length === total && pair.relay.size === 0 && pair.agent.size === 0;

  const act = (call: Call): void => {
    const { near, far, upload, download } = call;
    if (random.below(resetOneIn) === 0 && !near.stream.isClosed && far?.stream.isClosed !== true) {
      const by = random.pick(['relay', 'agent'] as const);
      if (by === 'agent' && far === undefined) return;
      call.resetBy = by;
      if (by === 'relay') near.reset(0);
      else far?.reset(2);
      return;
    }
    if (far === undefined) return;
    if (download === undefined && random.below(3) === 0 && !far.stream.isClosed) {
      call.download = new Transfer(random, far, near);
      pair.agent.respond(far.stream, Buffer.from('{"status":200}'));
    }
    upload?.write(random);
    if (call.isEarly || far.events.includes('end')) download?.write(random);
    for (const end of [near, far]) end.consume(random.pick([0, end.heldBytes, random.below(end.heldBytes + 1)]));
  };

  for (let step = 0; !isOver(); step += 1) {
    if (step > 100_000) throw new Error(`stuck with ${pair.relay.size} and ${pair.agent.size} streams`);
    if (calls.length < total && random.below(3) === 0)
      calls.push({ near: pair.open(`{"n":${calls.length}}`), isEarly: random.below(8) === 0 });
    const active = open();
    if (active.length > 0) act(random.pick(active));
    const [carrier, end] = random.pick([
      [pair.toAgent, pair.relay],
      [pair.toRelay, pair.agent],
    ] as const);
    carrier.isWritable = carrier.messages.length < 4 && random.below(4) > 0;
    end.flush();
    deliverSome(random, pair);
    carrier.isWritable = carrier.messages.length < 4;
  }
  pair.toAgent.isWritable = true;
  pair.toRelay.isWritable = true;
  pair.settle();

  if (pair.faults.length > 0) throw new Error(pair.faults.join(', '));
  for (const { near, far, upload, download, resetBy } of calls) {
    upload?.check(resetBy === undefined && far?.events.includes('end') === true);
    download?.check(resetBy === undefined);
    const events = near.events.filter((event) => event !== 'data' && event !== 'drain').join(', ');
    if (resetBy === undefined && events !== 'head {"status":200}, end, close') throw new Error(events);
  }
  return { streams: total, resets: calls.filter(({ resetBy }) => resetBy !== undefined).length };
}

test('200 times up to 60 streams at once', { timeout: 200_000 }, () => {
  let streams = 0;
  let resets = 0;
  for (let at = 0; at < 200; at += 1) {
    try {
      const done = run(createRandom(seed + at));
      streams += done.streams;
      resets += done.resets;
    } catch (error) {
      throw new Error(`run ${at} of MUX_SEED=${seed}`, { cause: error });
    }
  }
  expect(streams).toBeGreaterThan(2_000);
  expect(resets).toBeGreaterThan(100);
  expect(resets).toBeLessThan(streams / 2);
});
