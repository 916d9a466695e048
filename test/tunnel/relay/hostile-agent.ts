import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import { fieldsOf, rawAgent, type RawAgent } from './world.ts';

/** As docs/tunnel-protocol.md has them, not as our own code does. */
export const frameTypes = { head: 1, data: 2, reset: 3, window: 4 } as const;
export const endFlag = 0x80;

/** A frame that the relay has sent. */
export interface ReceivedFrame {
  /** Without endFlag. */
  readonly type: number;
  readonly isEnd: boolean;
  readonly streamId: number;
  readonly payload: Buffer;
}

interface HostileAgent extends Pick<RawAgent, 'socket'> {
  readonly url: string;
  /** The streams of the requests that came, in order. */
  readonly requests: readonly number[];
  /** Everything that came, in order. */
  readonly frames: readonly ReceivedFrame[];
}

/**
 * An agent that shakes hands as it should and then speaks frame by frame, so that it can say what our own agent would never
 * send. `onRequest` gives the messages with which it responds to the request on a stream.
 */
export async function hostileAgent(
  relayUrl: string,
  onRequest: (streamId: number) => readonly Buffer[],
): Promise<HostileAgent> {
  const identity = createIdentity();
  const agent = await rawAgent(relayUrl);
  const { publicKey } = identity;
  const hello = Buffer.from(
    JSON.stringify({ type: 'hello', versions: ['mcp-expose.v1'], agent: 'hostile', publicKey, want: {} }),
  );
  agent.socket.send(hello.toString());
  const { nonce } = await agent.receive('challenge');
  const proof = { relayHost: new URL(relayUrl).host, nonce: Buffer.from(String(nonce), 'base64url'), hello };
  const requests: number[] = [];
  const frames: ReceivedFrame[] = [];
  const read = frameSplitter((received) => {
    frames.push(received);
    if (received.type !== frameTypes.head) return;
    requests.push(received.streamId);
    for (const message of onRequest(received.streamId)) agent.socket.send(message);
  });
  agent.socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) read(data);
  });
  agent.socket.send(JSON.stringify({ type: 'proof', signature: identity.sign(proof) }));
  await agent.receive('welcome');
  return { socket: agent.socket, url: `${relayUrl}/${identity.name}`, requests, frames };
}

/** Takes bytes of a pipe, and passes on each frame that is complete. */
export function frameSplitter(onFrame: (received: ReceivedFrame) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUIntBE(0, 3)) {
      const end = 8 + rest.readUIntBE(0, 3);
      const flagged = rest[3] ?? 0;
      const received = {
        type: flagged & ~endFlag,
        isEnd: (flagged & endFlag) !== 0,
        streamId: rest.readUInt32BE(4),
        payload: rest.subarray(8, end),
      };
      rest = rest.subarray(end);
      onFrame(received);
    }
  };
}

/** The head of a request, as another implementation would read it. */
export function requestHead({ payload }: ReceivedFrame): Record<string, unknown> {
  return fieldsOf(payload.toString());
}

/** One frame. @param length what it says, if that is not the length of its payload. */
export function frame(
  type: number,
  streamId: number,
  payload: Buffer | string = '',
  length: number = Buffer.byteLength(payload),
): Buffer {
  const header = Buffer.alloc(8);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header.writeUInt32BE(streamId, 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** The head of a response. @param head JSON, or what takes its place. */
export function headFrame(streamId: number, head: object | string | Buffer, isEnd = false): Buffer {
  const payload = typeof head === 'string' || Buffer.isBuffer(head) ? head : JSON.stringify(head);
  return frame(isEnd ? frameTypes.head | endFlag : frameTypes.head, streamId, payload);
}

/** The last data of a response. */
export function lastData(streamId: number, body: Buffer | string = ''): Buffer {
  return frame(frameTypes.data | endFlag, streamId, body);
}

/** A reset or a window. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frame(type, streamId, payload);
}
