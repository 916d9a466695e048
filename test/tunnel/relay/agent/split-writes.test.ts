import { connect, type Http2ServerResponse } from 'node:http2';
import { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { createStreamServer } from '../../../../src/tunnel/relay/agent/stream-server.ts';
import { streamWindowBytes } from '../../../../src/tunnel/relay/protocol/limits.ts';
import type { AgentHandler } from '../world.ts';
import { eventually, overHttp2 } from '../world.ts';

const kib = 1024;
const ends: Array<() => void> = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** One end of a connection. */
class End extends Duplex {
  other: End | undefined;
  largestWrite = 0;
  /** Called once, while the next write is under way. */
  onWrite: (() => void) | undefined;

  override _read(): void {}

  override _writev(chunks: Array<{ chunk: Buffer }>, callback: () => void): void {
    const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.largestWrite = Math.max(this.largestWrite, bytes.length);
    this.onWrite?.();
    this.onWrite = undefined;
    setImmediate(() => {
      this.other?.push(bytes);
      callback();
    });
  }
}

/** An agent's HTTP/2 server, and a client that opens requests. */
function start(handler: AgentHandler) {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  createStreamServer(overHttp2(handler))(far);
  const session = connect('http://agent', {
    createConnection: () => near,
    settings: { initialWindowSize: streamWindowBytes },
  });
  session.on('error', () => undefined);
  session.setLocalWindowSize(16 * streamWindowBytes);
  ends.push(() => session.destroy());
  const get = (path: string) => {
    const stream = session.request({ ':path': path });
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
    });
    const ended = new Promise<Buffer>((resolve) => {
      stream.once('end', () => resolve(Buffer.concat(chunks)));
    });
    return { stream, bytes: () => bytes, ended };
  };
  return { server: far, get };
}

const large = Buffer.from(Array.from({ length: 1024 * kib }, (_, at) => at % 251));

test('a small response overtakes large ones that were given whole', async () => {
  let small: Http2ServerResponse | undefined;
  let begun = 0;
  const { server, get } = start((request, response) => {
    if (request.url === '/small') {
      small = response;
      return;
    }
    response.end(large);
    begun += 1;
    if (begun === 4) server.onWrite = () => small?.end('small');
  });
  const overtaken = new Promise<number>((resolve) => {
    get('/small').stream.once('data', () => resolve(downloads.reduce((sum, { bytes }) => sum + bytes(), 0)));
  });
  await eventually(() => small, 'the small request');
  const downloads = Array.from({ length: 4 }, () => get('/large'));
  // What was under way, and a turn of each.
  expect(await overtaken).toBeLessThanOrEqual(2 * 4 * 64 * kib);
  const bodies = await Promise.all(downloads.map(async (download) => await download.ended));
  expect(bodies.map((body) => body.equals(large))).toEqual([true, true, true, true]);
  expect(server.largestWrite).toBeLessThan(5 * 64 * kib);
});

test('writes of every size arrive whole and in order, and small ones together', async () => {
  const parts = [1, 70_000, 5, 65_536, 65_537, 200_000, ...Array.from({ length: 500 }, () => 3)];
  const calls: number[] = [];
  const { get } = start((_request, response) => {
    let at = 0;
    for (const [index, size] of parts.entries()) {
      response.write(large.subarray(at, at + size), () => calls.push(index));
      at += size;
    }
    response.write('text \u00e9 ', 'latin1');
    response.end('\u00e9'.repeat(70_000));
  });
  const body = await get('/').ended;
  const total = parts.reduce((sum, size) => sum + size, 0);
  const tail = Buffer.concat([Buffer.from('text \u00e9 ', 'latin1'), Buffer.from('\u00e9'.repeat(70_000))]);
  expect(body.equals(Buffer.concat([large.subarray(0, total), tail]))).toBe(true);
  expect(calls).toEqual(parts.map((_, index) => index));
});
