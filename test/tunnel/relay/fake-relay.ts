import { createServer } from 'node:http';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { fieldsOf, portOf } from './world.ts';

interface FakeRelay {
  readonly url: string;
  /** The codes with which agents have left, in order. */
  readonly codes: readonly number[];
  /** How many connections agents have made. */
  dialled(): number;
  /** What agents have said first, in order. */
  readonly hellos: ReadonlyArray<Record<string, unknown>>;
  end(): void;
}

/** A relay that takes every key and then says what it likes, in its welcome too. */
export async function fakeRelay(
  onWelcome: (socket: WebSocket) => void,
  welcomeOf: (hello: Record<string, unknown>) => object = () => ({}),
): Promise<FakeRelay> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'mcp-expose.v1' });
  const codes: number[] = [];
  const hellos: Array<Record<string, unknown>> = [];
  let dialled = 0;
  sockets.on('connection', (socket) => {
    dialled += 1;
    socket.once('close', (code) => codes.push(code));
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) return;
      const message = fieldsOf(data.toString());
      const { type } = message;
      if (type === 'hello') {
        hellos.push(message);
        socket.send(JSON.stringify({ type: 'challenge', nonce: Buffer.alloc(32).toString('base64url') }));
      } else if (type === 'proof') {
        const urls = ['http://127.0.0.1/fake'];
        const rest = { session: 's', epoch: 1, name: 'fake', urls, resumeMs: 0, heartbeatMs: 15_000 };
        const limits = { streams: 256 };
        socket.send(JSON.stringify({ type: 'welcome', ...rest, limits, ...welcomeOf(hellos.at(-1) ?? {}) }));
        onWelcome(socket);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    codes,
    dialled: () => dialled,
    hellos,
    end() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close();
    },
  };
}
