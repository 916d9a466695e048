// What an agent may send to a relay: control messages and frames, whole, broken and mixed.
import { once } from 'node:events';
import { get } from 'node:http';
import { WebSocket } from 'ws';
import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import { parseJson } from '../../harness/parse-json.ts';
import type { Random } from '../../harness/random.ts';
import { endFlag, frame, frameTypes, headFrame, lastData, numberFrame } from '../../tunnel/relay/hostile-agent.ts';
import { bytesOf, mutant, type Vocabulary } from './mutation.ts';

/** A connection on which nothing comes is given up after this time, in milliseconds. */
const quietMs = 40;

/** For the streams that the relay opens first. */
const frames: Vocabulary = {
  samples: [
    frame(9, 0, 'later'),
    ...[1, 2].flatMap((id) => [
      headFrame(id, { status: 200, headers: ['content-type', 'application/json'] }),
      headFrame(id, { status: 204, headers: [] }, true),
      headFrame(id, { status: 103, headers: ['link', '<x>'] }),
      headFrame(id, { status: 200, headers: ['content-length', '5', 'set-cookie', 'a=b'] }),
      Buffer.concat([
        headFrame(id, { status: 200, headers: ['content-type', 'text/event-stream'] }),
        lastData(id, 'data: {}\n\n'),
      ]),
      frame(frameTypes.data, id, Buffer.alloc(300, 'x')),
      frame(frameTypes.data, id, 'x', 60_000),
      lastData(id),
      numberFrame(frameTypes.reset, id, 2),
      numberFrame(frameTypes.window, id, 1),
    ]),
  ],
  words: [
    Buffer.from([0, 0, 4, frameTypes.window, 0, 0, 0, 1]),
    Buffer.from([0, 0, 0, frameTypes.data | endFlag, 0, 0, 0, 1]),
    Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    Buffer.alloc(4),
    ...bytesOf('\0\0', '\xff\xff\xff', 'transfer-encoding', 'connection', '__proto__', '"status":', '\\r\\n', '{', '['),
  ],
};

const controls: Vocabulary = {
  samples: bytesOf(
    '{"type":"hello","versions":["mcp-expose.v1"],"agent":"fuzz/1","publicKey":"AAAA","want":{"name":"files"}}',
    '{"type":"hello","versions":["mcp-expose.v1"],"publicKey":"AAAA","want":{},"resume":{"session":"AAAA","received":12}}',
    '{"type":"proof","signature":"AAAA"}',
    '{"type":"ack","received":12}',
    '{"type":"goaway"}',
    '{"type":"notice","kind":"x","message":"y"}',
  ),
  words: bytesOf('"type":"hello",', '"__proto__":{}', 'null', '1e400', '\\u0000', '[]', '{', '"', 'a'.repeat(20_000)),
};

export interface AgentInputs {
  readonly relayUrl: string;
  /** The address that it comes from. */
  readonly from: string;
  readonly count: number;
}

/** One connection: a quarter of them never get through the handshake, the others answer two requests with what they like. */
export async function sendAgentInputs(random: Random, { relayUrl, from, count }: AgentInputs): Promise<void> {
  const isAgent = random.below(4) !== 0;
  const inputs = Array.from({ length: count }, (_none, at) => {
    const isControl = !isAgent || random.below(5) === 0;
    const bytes = mutant(random, isControl ? controls : frames);
    return { bytes, isBinary: !isControl || (at > 0 && random.below(8) === 0) };
  });
  const socket = new WebSocket(`${relayUrl.replace('http', 'ws')}/_mcp-expose/v1/tunnel`, ['mcp-expose.v1'], {
    localAddress: from,
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  const isOpen = await Promise.race([once(socket, 'open').then(() => true), closed.then(() => false)]).catch(
    () => false,
  );
  const name =
    isOpen && isAgent
      ? await shakeHands(socket, { host: new URL(relayUrl).host, canResume: random.below(2) === 0, closed })
      : undefined;
  // Two requests, so that there are streams to answer on.
  const requests =
    name === undefined ? [] : [1, 2].map(() => get(`${relayUrl}/${name}/mcp`, { localAddress: from, agent: false }));
  for (const request of requests)
    request.on('error', () => {}).on('response', (response) => response.on('error', () => {}).resume());
  if (name !== undefined) await Promise.race([once(socket, 'message'), closed]);
  for (const { bytes, isBinary } of inputs) {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes, { binary: isBinary });
  }
  const quiet = setTimeout(() => socket.terminate(), quietMs);
  await closed;
  clearTimeout(quiet);
  for (const request of requests) request.destroy();
}

/** As an agent should; the name of the new one, or undefined where the relay would not have it. */
async function shakeHands(
  socket: WebSocket,
  { host: relayHost, canResume, closed }: { host: string; canResume: boolean; closed: Promise<unknown> },
): Promise<string | undefined> {
  const identity = createIdentity();
  const { publicKey } = identity;
  const resume = canResume ? { resume: { session: '', received: 0 } } : {};
  const hello = JSON.stringify({
    type: 'hello',
    versions: ['mcp-expose.v1'],
    agent: 'fuzz',
    publicKey,
    want: {},
    ...resume,
  });
  const welcomed = new Promise<string>((resolve) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) return;
      const message = parseJson<{ type: string; nonce?: string; name?: string }>(data.toString());
      if (message.type === 'challenge') {
        const nonce = Buffer.from(message.nonce ?? '', 'base64url');
        const signature = identity.sign({ relayHost, nonce, hello: Buffer.from(hello) });
        socket.send(JSON.stringify({ type: 'proof', signature }));
      } else if (message.type === 'welcome') resolve(message.name ?? '');
    });
  });
  socket.send(hello);
  return Promise.race([welcomed, closed.then(() => undefined)]);
}
