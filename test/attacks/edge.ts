// The two places at which strangers' bytes come in, the local listener and a relay, in front of one handler.
import { connect, type Socket } from 'node:net';
import { listen } from '../../src/http/listener.ts';
import type { Handler } from '../http/web.ts';
import { eventually, within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { overTunnel, startWorld } from '../tunnel/relay/world.ts';

export const places = ['relay', 'listener'] as const;
export type Place = (typeof places)[number];

export interface Edge {
  readonly port: number;
  /** In front of every path: a relay has the agent's name there. */
  readonly base: string;
}

export async function startEdge(place: Place, handler: Handler): Promise<Edge> {
  if (place === 'listener') {
    const listener = await listen('127.0.0.1', 0, handler);
    atEnd('test', () => listener.close());
    return { port: listener.port, base: '' };
  }
  const world = await startWorld();
  atEnd('test', () => world.end());
  const agent = await world.agent((request, response) => overTunnel(handler)(request, response));
  return { port: world.relay.port, base: new URL(agent.url).pathname };
}

/** A handler that answers with what it was asked, to `/slow…` when it is told to. */
export interface Slow {
  readonly handler: Handler;
  /** Method and last part of the path, with the body, in the order in which they were handled. */
  readonly executed: string[];
  /** Answers all that wait, and does not let later ones wait. */
  release(): void;
}

export function createSlow(): Slow {
  const executed: string[] = [];
  const waiting: (() => void)[] = [];
  let isReleased = false;
  return {
    executed,
    handler(request, response) {
      response.on('error', () => undefined);
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const what = `${request.method} ${request.url} ${body}`.trim();
        executed.push(what);
        const answer = (): void => {
          response.writeHead(200, { 'content-type': 'text/plain', 'content-length': what.length + 2 });
          response.end(`<${what}>`);
        };
        if (isReleased || request.url?.includes('slow') !== true) answer();
        else waiting.push(answer);
      });
    },
    release() {
      isReleased = true;
      for (const answer of waiting.splice(0)) answer();
    },
  };
}

/** One connection that sends what it is told to. */
export interface Client {
  readonly socket: Socket;
  /** All that has come. */
  text(): string;
  /** The status of each answer that has come, and what `createSlow` says in it. */
  answers(): string[];
  /** Resolves with all that has come, when the connection has ended. */
  readonly closed: Promise<string>;
}

export function openClient(port: number, bytes: string | Buffer): Client {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write(bytes);
  atEnd('test', () => void socket.destroy());
  return {
    socket,
    text: () => text,
    answers: () => [...text.matchAll(/HTTP\/1\.1 (\d{3})|<([^>]*)>/g)].map(([, status, said]) => status ?? said ?? ''),
    get closed() {
      return within(15_000, 'the end of a connection', closed);
    },
  };
}

export async function answersOf(client: Client, count: number): Promise<string[]> {
  return await eventually(() => {
    const answers = client.answers();
    if (answers.length < count) throw new Error(`only ${JSON.stringify(answers)} came`);
    return answers;
  });
}

/** A request with `Host: 127.0.0.1`. */
export function head(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
}
