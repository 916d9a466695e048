import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { afterEach, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { dial } from '../../../../src/tunnel/relay/agent/dial.ts';
import { protocolVersion } from '../../../../src/tunnel/relay/protocol/protocol.ts';
import { selfSigned } from '../../../harness/certificate.ts';
import { listenOnLoopback } from '../../../harness/loopback-server.ts';

const servers: Server[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A binary message with this content, as its bytes come out of the connection. */
async function frameAt(server: Server, scheme: 'ws' | 'wss', content: string): Promise<Buffer> {
  servers.push(server);
  const webSocketServer = new WebSocketServer({ noServer: true, handleProtocols: () => protocolVersion });
  const arrived = new Promise<Buffer>((resolve) => {
    server.on('upgrade', (request, socket, head) => {
      socket.once('data', resolve);
      webSocketServer.handleUpgrade(request, socket, head, () => undefined);
    });
  });
  const url = new URL(`${scheme}://127.0.0.1:${await listenOnLoopback(server)}/`);
  const dialled = await dial(url, {}, AbortSignal.timeout(20_000));
  if (dialled.type !== 'open') throw new Error(`the dial ended as ${dialled.type}`);
  dialled.socket.send(Buffer.from(content), { binary: true });
  const frame = await arrived;
  dialled.socket.terminate();
  return frame;
}

// RFC 6455, section 5.2: two bytes, the mask, the content.
const maskOf = (frame: Buffer): Buffer => frame.subarray(2, 6);

test('over TLS, the mask consists of zeroes and the content passes as it is', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  const { key, cert } = selfSigned(['IP:127.0.0.1']);
  const frame = await frameAt(createTlsServer({ key, cert }), 'wss', 'some content');
  expect(maskOf(frame)).toEqual(Buffer.alloc(4));
  expect(frame.subarray(6).toString()).toBe('some content');
});

test('without TLS, it is random', async () => {
  const frames = [
    await frameAt(createServer(), 'ws', 'some content'),
    await frameAt(createServer(), 'ws', 'some content'),
  ];
  const masks = frames.map((frame) => maskOf(frame).toString('hex'));
  expect(new Set([...masks, '00000000']).size).toBe(3);
});
