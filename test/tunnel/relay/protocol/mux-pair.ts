import { Multiplexer, type FrameCarrier } from '../../../../src/tunnel/relay/protocol/multiplexer.ts';
import type { MuxStream, StreamReceiver } from '../../../../src/tunnel/relay/protocol/mux-stream.ts';

/** One direction of a pipe, in memory: what is sent arrives when the test says so. */
export class MemoryCarrier implements FrameCarrier {
  isWritable = true;
  /** Sent and not delivered. */
  messages: Buffer[] = [];

  send(message: Buffer): void {
    if (!this.isWritable) throw new Error('a message was sent without room for it');
    if (message.length > 65_536) throw new Error(`a message of ${message.length} bytes was sent`);
    this.messages.push(message);
  }

  take(): Buffer[] {
    return this.messages.splice(0);
  }
}

/** Notes what a stream is told. Throws when that breaks the contract of StreamReceiver. */
export class Recorder implements StreamReceiver {
  stream: MuxStream | undefined;
  /** Data that came together is one event. */
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  bytes = 0;
  /** Received, and not reported as processed. */
  heldBytes = 0;
  /** Whether it reports at once that it has processed what it receives. */
  consumes = true;
  onEvent: (event: string) => void = () => undefined;
  #isOver = false;

  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onHead(head: Buffer): void {
    this.#note(`head ${head.toString()}`);
  }

  onData(bytes: Buffer): void {
    this.chunks.push(bytes);
    this.bytes += bytes.length;
    this.heldBytes += bytes.length;
    if (this.heldBytes > 524_288) throw new Error(`${this.heldBytes} bytes were sent into a window of 524288`);
    if (this.consumes) this.consume();
    this.#note('data');
  }

  onEnd(): void {
    this.#note('end');
  }

  onDrain(): void {
    this.#note('drain');
  }

  onClose(reset: number | 'lost' | undefined): void {
    this.#note(reset === undefined ? 'close' : `close ${reset}`);
    this.#isOver = true;
  }

  consume(bytes: number = this.heldBytes): void {
    this.heldBytes -= bytes;
    this.stream?.consumed(bytes);
  }

  reset(code: number): void {
    this.#isOver = true;
    this.stream?.reset(code);
  }

  #note(event: string): void {
    if (this.#isOver) throw new Error(`${event} after the stream was over: ${this.events.join(', ')}`);
    if (event !== 'data' || this.events.at(-1) !== 'data') this.events.push(event);
    this.onEvent(event);
  }
}

/** Both ends of the streams of one pipe, and what is under way. */
export interface MuxEnds {
  readonly relay: Multiplexer;
  readonly agent: Multiplexer;
  readonly toAgent: MemoryCarrier;
  readonly toRelay: MemoryCarrier;
}

/** Sends and delivers until nothing is under way. */
export function exchange({ relay, agent, toAgent, toRelay }: MuxEnds): void {
  for (;;) {
    relay.flush();
    agent.flush();
    const [forAgent, forRelay] = [toAgent.take(), toRelay.take()];
    if (forAgent.length + forRelay.length === 0) return;
    for (const message of forAgent) agent.receive(message);
    for (const message of forRelay) relay.receive(message);
  }
}

export interface MuxPair extends MuxEnds {
  /** The requests at the agent, in order. */
  readonly requests: Recorder[];
  readonly faults: string[];
  /** Opens a stream at the relay. */
  open(head?: string, isEnd?: boolean): OpenRecorder;
  /** Opens a stream and returns it at the relay and at the agent. */
  openBoth(head?: string, isEnd?: boolean): [relay: OpenRecorder, agent: OpenRecorder];
  /** `exchange` of this pair. */
  settle(): void;
}

export type OpenRecorder = Recorder & { readonly stream: MuxStream };

/** A relay and an agent that records its requests. A fault closes the end that has found it, as its owner does. */
export function muxPair(onRequest: (request: OpenRecorder) => void = () => undefined): MuxPair {
  const [toAgent, toRelay] = [new MemoryCarrier(), new MemoryCarrier()];
  const requests: Recorder[] = [];
  const faults: string[] = [];
  const relay: Multiplexer = new Multiplexer({
    carrier: toAgent,
    onFault(reason) {
      faults.push(`relay: ${reason}`);
      relay.close();
    },
  });
  const agent: Multiplexer = new Multiplexer({
    carrier: toRelay,
    onFault(reason) {
      faults.push(`agent: ${reason}`);
      agent.close();
    },
    onRequest(stream, head) {
      const request = Object.assign(new Recorder(), { stream });
      request.events.push(`request ${head.toString()}`);
      requests.push(request);
      stream.receiver = request;
      onRequest(request);
    },
  });
  const settle = (): void => exchange({ relay, agent, toAgent, toRelay });
  const open = (head = '{}', isEnd = false): OpenRecorder => {
    const recorder = new Recorder();
    return Object.assign(recorder, { stream: relay.open(Buffer.from(head), isEnd, recorder) });
  };
  return {
    relay,
    agent,
    toAgent,
    toRelay,
    requests,
    faults,
    settle,
    open,
    openBoth(head, isEnd) {
      const near = open(head, isEnd);
      settle();
      const far = requests.at(-1);
      if (far?.stream === undefined) throw new Error('the request did not arrive');
      return [near, Object.assign(far, { stream: far.stream })];
    },
  };
}
