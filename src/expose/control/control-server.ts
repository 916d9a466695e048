import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';

import { ExposeError, messageOf } from '../../errors.ts';
import { makeFolder } from '../../tunnel/config-folder.ts';
import type { TokenLimits, Tokens } from '../options.ts';
import { socketFolder, socketOf, type RunDescription } from './runs.ts';

/** Longest path of a Unix socket, in bytes: 104 with a zero byte on macOS, 108 on Linux. */
const maxSocketPathBytes = 103;

/** Longest body that is kept, in characters: several times the longest rules of a token. */
const maxBodyLength = 64 * 1024;

interface SavedTokens extends Tokens {
  /** Whether the latest change is on disk, if it has to be. Waits for that. */
  saved(): Promise<boolean>;
}

export interface ControlServerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly describe: () => RunDescription;
  readonly tokens: SavedTokens | undefined;
}

export interface ControlServer {
  close(): Promise<void>;
}

/**
 * Lets `mcp-expose token` talk to this run: JSON over HTTP on a Unix socket with mode 0600 in a folder with mode 0700, or on a
 * named pipe of Windows. Whoever can open it may do everything with the tokens, so it is this user alone.
 * @throws what the file system or the network throws.
 */
export async function openControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { env } = options;
  const socket = socketOf(process.pid, env);
  const isFile = process.platform !== 'win32';
  if (isFile) {
    makeFolder(socketFolder(env));
    chmodSync(socketFolder(env), 0o700);
    // Of an earlier process with this pid.
    rmSync(socket, { force: true });
  }
  // Node cuts a longer path without an error.
  if (isFile && Buffer.byteLength(socket) > maxSocketPathBytes)
    throw new Error(`the path ${socket} is too long for a socket`);
  const server = createServer((request, response) => void answer(request, response, options));
  server.listen(socket);
  await once(server, 'listening');
  server.unref();
  try {
    if (isFile) chmodSync(socket, 0o600);
  } catch (error) {
    server.close();
    throw error;
  }
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ControlServerOptions,
): Promise<void> {
  response.on('error', () => {});
  const [status, body] = await resultOf(request, options).catch(
    (error: unknown) => [error instanceof ExposeError ? 400 : 500, asJson(error)] as const,
  );
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(body === undefined ? '' : JSON.stringify(body));
}

async function resultOf(
  request: IncomingMessage,
  { describe, tokens }: ControlServerOptions,
): Promise<readonly [status: number, body?: object]> {
  const [, resource = '', name = '', action] = (request.url ?? '').split('/');
  const called = `${request.method} ${resource}${name === '' ? '' : '/name'}${action === undefined ? '' : `/${action}`}`;
  if (called === 'GET run') return [200, describe()];
  if (tokens === undefined) throw new ExposeError('usage', 'this run requires no token');
  const token = nameIn(name);
  switch (called) {
    case 'GET tokens':
      return [200, tokens.list()];
    // Not POST, which the first versions take too, without rules: the token would allow everything.
    case 'PUT tokens/name':
      return await changed(201, { name: token, token: tokens.add(token, limitsIn(await readText(request))) }, tokens);
    case 'DELETE tokens/name':
      if (!tokens.revoke(token)) throw unknownToken(token, tokens);
      return await changed(200, { name: token }, tokens);
    case 'POST tokens/name/rotate': {
      const rotated = tokens.rotate(token);
      if (rotated === undefined) throw unknownToken(token, tokens);
      return await changed(200, { name: token, token: rotated }, tokens);
    }
    default:
      throw new ExposeError('usage', 'this version of mcp-expose does not know the request', {
        hints: ['use the same version for both'],
      });
  }
}

/** The change is in effect already, so a slow disk delays only the answer. */
async function changed(
  status: number,
  body: object,
  tokens: SavedTokens,
): Promise<readonly [status: number, body: object]> {
  return [status, (await tokens.saved()) ? body : { ...body, isSaved: false }];
}

function nameIn(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new ExposeError('usage', 'the name of the token cannot be read', { cause });
  }
}

function limitsIn(text: string): TokenLimits {
  let limits: unknown;
  try {
    limits = JSON.parse(text);
  } catch {
    // Like any other value that is no object.
  }
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits))
    throw new ExposeError('usage', 'the limits of the token cannot be read');
  // `add` checks them.
  return limits;
}

function unknownToken(name: string, tokens: Tokens): ExposeError {
  const names = tokens.list().flatMap((token) => (token.state === 'valid' ? [token.name] : []));
  return new ExposeError('usage', `no valid token has the name ${name}`, {
    hints: [
      names.length === 0 ? 'there is none: add one with mcp-expose token add' : `the tokens are: ${names.join(', ')}`,
    ],
  });
}

function asJson(error: unknown): object {
  return error instanceof ExposeError
    ? { code: error.code, message: error.message, hints: error.hints }
    : { code: 'internal', message: messageOf(error), hints: [] };
}

/** Not by node:stream/consumers, which loads what the hot path would pay for in heap. */
async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) {
    // The rest is read as well, or the answer could not be.
    if (text.length <= maxBodyLength) text += String(piece);
  }
  if (text.length > maxBodyLength) {
    throw new ExposeError('usage', `the limits of the token are longer than ${maxBodyLength / 1024} KiB`);
  }
  return text;
}
