// The pipe under a network that breaks: whatever is cut, and whenever, each byte arrives once and in order.
import { expect, test } from 'vitest';
import { parseAgentMessage } from '../../../../src/tunnel/relay/protocol/parse-message.ts';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { createRandom, type Random } from '../../../harness/random.ts';
import { socketPair, type FakeSocket } from '../socket-pair.ts';

const seed = Number(process.env['PIPE_SEED'] ?? 20_261_129);

/** Longer than what one direction carries; a byte tells where it belongs, and no two blocks are alike. */
const bytes = Buffer.alloc(12 * 1024 * 1024);
for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);

/** One end: sends the first `total` of `bytes`, and checks that it receives the same. */
class End {
  readonly pipe: Pipe;
  socket: FakeSocket;
  received = 0;
  /** Room for more was announced. */
  #hasRoom = true;
  #sent = 0;
  readonly #total: number;

  constructor(socket: FakeSocket, total: number, clock: ReturnType<typeof createFakeClock>) {
    this.socket = socket;
    this.#total = total;
    this.pipe = new Pipe(socket, {
      isResumable: true,
      clock,
      onReceived: (chunk) => {
        if (bytes.compare(chunk, 0, chunk.length, this.received, this.received + chunk.length) !== 0) {
          throw new Error(`other bytes than expected at ${this.received}`);
        }
        this.received += chunk.length;
      },
      onWritable: () => (this.#hasRoom = true),
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

  /** Sends a few messages. As long as the pipe does not say so, there is no room again. */
  send(random: Random, largest: number): void {
    for (let left = random.below(10); left > 0 && this.#hasRoom; left -= 1) {
      this.#hasRoom = this.pipe.isWritable;
      const size = Math.min(1 + random.below(largest), this.#total - this.#sent);
      if (size === 0 || !this.#hasRoom) return;
      this.pipe.send(bytes.subarray(this.#sent, this.#sent + size));
      this.#sent += size;
    }
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

function run(random: Random, { total, largest, cutOneIn }: Traffic): number {
  const clock = createFakeClock();
  const totals = [total(), total()] as const;
  const [first, second] = socketPair();
  const agent = new End(first, totals[0], clock);
  const relay = new End(second, totals[1], clock);
  const ends = [agent, relay];
  const isDone = (): boolean => agent.received === totals[1] && relay.received === totals[0];
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
    () => random.pick(ends).send(random, largest),
    () => random.pick(ends).send(random, largest),
    () => void random.pick(ends).socket.deliver(),
    () => {
      const { socket } = random.pick(ends);
      for (let left = random.below(20); left > 0 && socket.deliver(); left -= 1);
    },
    () => clock.advance(random.below(300)),
  ];
  const cut = (): void => {
    cuts += 1;
    agent.socket.terminate();
    // Otherwise the relay learns of it when the agent comes back.
    if (random.below(2) === 0) relay.socket.terminate();
  };
  for (let step = 0; !isDone(); step += 1) {
    if (step > 200_000) throw new Error(`stuck: ${agent.received} of ${totals[1]}, ${relay.received} of ${totals[0]}`);
    if (agent.socket.readyState !== agent.socket.OPEN) {
      if (random.below(3) === 0) reconnect();
      else random.pick(ends).send(random, largest);
    } else if (random.below(cutOneIn) === 0) cut();
    else random.pick(actions)();
  }
  const sizes = ends.map(({ pipe }) => pipe.receivedBytes);
  expect(sizes).toEqual([totals[1], totals[0]]);
  for (const { pipe } of ends) pipe.close();
  return cuts;
}

function runs(count: number, traffic: (random: Random) => Traffic): number {
  let cuts = 0;
  for (let at = 0; at < count; at += 1) {
    const random = createRandom(seed + at);
    try {
      cuts += run(random, traffic(random));
    } catch (error) {
      throw new Error(`run ${at} of PIPE_SEED=${seed}`, { cause: error });
    }
  }
  return cuts;
}

test('ten thousand times up to 64 KiB', { timeout: 400_000 }, () => {
  const cuts = runs(10_000, (random) => ({
    total: () => random.below(random.pick([100, 3_000, 65_536])),
    largest: random.pick([64, 4_000, 65_536]),
    cutOneIn: random.pick([4, 15, 60]),
  }));
  expect(cuts).toBeGreaterThan(10_000);
});

test('a hundred times up to 10 MB', { timeout: 400_000 }, () => {
  const cuts = runs(100, (random) => ({
    total: () => random.pick([1, 3, 10]) * 1_000_000 + random.below(1_000_000),
    largest: random.pick([10_000, 65_536]),
    cutOneIn: random.pick([10, 50]),
  }));
  expect(cuts).toBeGreaterThan(100);
});
