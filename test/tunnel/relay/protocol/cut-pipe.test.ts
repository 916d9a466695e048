// The pipe under a network that breaks: whatever is cut, and whenever, each byte arrives once and in order.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseAgentMessage } from '../../../../src/tunnel/relay/protocol/parse-message.ts';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { createRandom, type Random } from '../../../harness/random.ts';
import { socketPair, type FakeSocket } from '../socket-pair.ts';
import { inTurn } from '../world.ts';

const seed = Number(process.env['PIPE_SEED'] ?? 20_261_129);

/** Longer than what one direction carries; a byte tells where it belongs, and no two blocks are alike. */
const bytes = Buffer.alloc(12 * 1024 * 1024);
for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);

/** One end: writes the first `total` of `bytes`, and checks that it reads the same. */
class End {
  readonly pipe: Pipe;
  socket: FakeSocket;
  read = 0;
  #written = 0;
  #isFull = false;
  readonly #total: number;

  constructor(socket: FakeSocket, total: number, clock: ReturnType<typeof createFakeClock>) {
    this.socket = socket;
    this.#total = total;
    this.pipe = new Pipe(socket, { isResumable: true, clock });
    this.pipe.on('drain', () => (this.#isFull = false));
    this.pipe.on('data', (chunk: Buffer) => {
      if (bytes.compare(chunk, 0, chunk.length, this.read, this.read + chunk.length) !== 0) {
        throw new Error(`other bytes than expected at ${this.read}`);
      }
      this.read += chunk.length;
    });
    this.listen();
  }

  /** As an owner does. */
  listen(): void {
    const { socket } = this;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      const message = isBinary ? undefined : parseAgentMessage(data);
      if (message?.type === 'ack' && !this.pipe.acknowledge(message.received)) throw new Error('a wrong ack');
    });
  }

  write(random: Random, largest: number): void {
    if (this.#isFull) return;
    const size = Math.min(1 + random.below(largest), this.#total - this.#written);
    if (size > 0) this.#isFull = !this.pipe.write(bytes.subarray(this.#written, this.#written + size));
    this.#written += size;
  }

  get isWritten(): boolean {
    return this.#written === this.#total && this.pipe.writableLength === 0;
  }

  attach(socket: FakeSocket, peerReceived: number): void {
    if (!this.pipe.canAttach(peerReceived)) throw new Error(`${peerReceived} cannot be resumed`);
    this.socket = socket;
    this.listen();
    this.pipe.attach(socket, peerReceived);
  }
}

interface Traffic {
  readonly total: () => number;
  readonly largest: number;
  readonly cutOneIn: number;
}

async function run(random: Random, { total, largest, cutOneIn }: Traffic): Promise<number> {
  const clock = createFakeClock();
  const totals = [total(), total()] as const;
  const [first, second] = socketPair();
  const agent = new End(first, totals[0], clock);
  const relay = new End(second, totals[1], clock);
  const ends = [agent, relay];
  const isDone = (): boolean =>
    agent.isWritten && relay.isWritten && agent.read === totals[1] && relay.read === totals[0];
  let cuts = 0;

  const reconnect = (): void => {
    const [near, far] = socketPair();
    const received = agent.pipe.receivedBytes;
    // What the relay has sent is under way before the agent reads.
    const relayReceived = relay.pipe.receivedBytes;
    relay.attach(far, received);
    agent.attach(near, relayReceived);
  };
  const actions: Array<() => void> = [
    () => random.pick(ends).write(random, largest),
    () => random.pick(ends).write(random, largest),
    () => void random.pick(ends).socket.deliver(),
    () => {
      const { socket } = random.pick(ends);
      for (let left = random.below(20); left > 0 && socket.deliver(); left -= 1);
    },
    () => void (random.below(2) === 0 ? random.pick(ends).pipe.pause() : random.pick(ends).pipe.resume()),
    () => clock.advance(random.below(300)),
  ];
  const cut = (): void => {
    cuts += 1;
    agent.socket.terminate();
    // Otherwise the relay learns of it when the agent comes back.
    if (random.below(2) === 0) relay.socket.terminate();
  };
  for (let step = 0; !isDone(); step += 1) {
    if (step > 200_000) throw new Error(`stuck: ${agent.read} of ${totals[1]}, ${relay.read} of ${totals[0]}`);
    if (agent.socket.readyState !== agent.socket.OPEN) {
      if (random.below(3) === 0) reconnect();
      else random.pick(ends).write(random, largest);
    } else if (random.below(cutOneIn) === 0) cut();
    else random.pick(actions)();
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    if (step % 4 === 0) await nextTurn();
  }
  const sizes = ends.map(({ pipe }) => pipe.receivedBytes);
  expect(sizes).toEqual([totals[1], totals[0]]);
  for (const { pipe } of ends) pipe.destroy();
  return cuts;
}

const runs = async (count: number, traffic: (random: Random) => Traffic): Promise<number> => {
  const cuts = await inTurn(
    Array.from({ length: count }, (_, at) => at),
    async (at) => {
      const random = createRandom(seed + at);
      return await run(random, traffic(random)).catch((error: unknown) => {
        throw new Error(`run ${at} of PIPE_SEED=${seed}`, { cause: error });
      });
    },
  );
  return cuts.reduce((sum, some) => sum + some, 0);
};

test('ten thousand times up to 64 KiB', { timeout: 400_000 }, async () => {
  const cuts = await runs(10_000, (random) => ({
    total: () => random.below(random.pick([100, 3_000, 65_536])),
    largest: random.pick([16, 1_000, 20_000]) * 4,
    cutOneIn: random.pick([4, 15, 60]),
  }));
  expect(cuts).toBeGreaterThan(10_000);
});

test('a hundred times up to 10 MB', { timeout: 400_000 }, async () => {
  const cuts = await runs(100, (random) => ({
    total: () => random.pick([1, 3, 10]) * 1_000_000 + random.below(1_000_000),
    largest: random.pick([100_000, 500_000]),
    cutOneIn: random.pick([10, 50]),
  }));
  expect(cuts).toBeGreaterThan(100);
});
