import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import type { RawAgent } from './world.ts';
import { rawAgent } from './world.ts';

/** Frame types of HTTP/2 (RFC 9113, section 6). */
export const frameTypes = { data: 0, headers: 1, rstStream: 3, settings: 4, pushPromise: 5, goaway: 7 } as const;
const endStream = 1;
const endHeaders = 4;

export type HeaderPair = readonly [name: string, value: string];

interface HostileAgent extends Pick<RawAgent, 'socket'> {
  readonly url: string;
  /** The streams of the requests that came, in order. */
  readonly requests: readonly number[];
}

/**
 * An agent that shakes hands as it should and then speaks HTTP/2 frame by frame, so that it can say what node:http2 would
 * refuse to send. `onRequest` gives the frames that answer the request on a stream. It acknowledges no settings unless told to.
 */
export async function hostileAgent(
  relayUrl: string,
  onRequest: (streamId: number) => readonly Buffer[],
  { acknowledges = false }: { acknowledges?: boolean } = {},
): Promise<HostileAgent> {
  const identity = createIdentity();
  const agent = await rawAgent(relayUrl);
  const hello = Buffer.from(
    JSON.stringify({
      type: 'hello',
      versions: ['mcp-expose.v1'],
      agent: 'hostile',
      publicKey: identity.publicKey,
      want: {},
    }),
  );
  agent.socket.send(hello.toString());
  const { nonce } = await agent.receive('challenge');
  const proof = { relayHost: new URL(relayUrl).host, nonce: Buffer.from(String(nonce), 'base64url'), hello };
  let received = Buffer.alloc(0);
  let isPrefaced = false;
  const requests: number[] = [];
  agent.socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return;
    received = Buffer.concat([received, data]);
    if (!isPrefaced) {
      isPrefaced = true;
      received = received.subarray('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length);
      agent.socket.send(frame(frameTypes.settings, 0, 0));
      if (acknowledges) agent.socket.send(frame(frameTypes.settings, 1, 0));
    }
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const type = received[3];
      const streamId = received.readUInt32BE(5);
      received = received.subarray(9 + received.readUIntBE(0, 3));
      if (type !== frameTypes.headers) continue;
      requests.push(streamId);
      for (const answer of onRequest(streamId)) agent.socket.send(answer);
    }
  });
  agent.socket.send(JSON.stringify({ type: 'proof', signature: identity.sign(proof) }));
  await agent.receive('welcome');
  return { socket: agent.socket, url: `${relayUrl}/${identity.name}`, requests };
}

/** One frame of HTTP/2. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A whole header block in one frame. */
export function headersFrame(streamId: number, pairs: readonly HeaderPair[], isEnd = false): Buffer {
  return frame(frameTypes.headers, isEnd ? endHeaders | endStream : endHeaders, streamId, headerBlock(pairs));
}

/** A promise of the even stream `promisedId`. */
export function pushFrame(streamId: number, promisedId: number, pairs: readonly HeaderPair[]): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(promisedId);
  return frame(frameTypes.pushPromise, endHeaders, streamId, Buffer.concat([id, headerBlock(pairs)]));
}

/** RST_STREAM and GOAWAY hold numbers of 32 bits. */
export function numbersFrame(type: number, streamId: number, numbers: readonly number[]): Buffer {
  const payload = Buffer.alloc(4 * numbers.length);
  for (const [index, number] of numbers.entries()) payload.writeUInt32BE(number, 4 * index);
  return frame(type, 0, streamId, payload);
}

/** Literals without indexing and without Huffman coding (RFC 7541, section 6.2.2). */
export function headerBlock(pairs: readonly HeaderPair[]): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([prefixedInteger(bytes.length), bytes]);
}

/** RFC 7541, section 5.1, with a prefix of 7 bits. */
function prefixedInteger(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
