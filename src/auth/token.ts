import { randomBytes } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';

import { ExposeError, messageOf } from '../errors.ts';
import { readPrivateFile } from '../platform/private-file.ts';
import { looksLikeToken, shellQuote } from '../platform/text/redact.ts';

/** Identifies tokens of mcp-expose for secret scanners and people. */
export const tokenPrefix = 'mcpx_';

/** Identifies the access tokens of OAuth. */
export const accessTokenPrefix = 'mcpa_';

const tokenBytes = 32;

/** A shorter token causes a warning: 22 characters of base64url are 128 bits. */
export const weakTokenLength = 22;

/** Largest token file or standard input that is read, in bytes. */
const maxTokenFileBytes = 4096;

/** What may follow `Bearer` (RFC 6750 §2.1, `b64token`). */
const bearerSyntax = /^[A-Za-z0-9\-._~+/]+=*$/;

const newTokenHint = 'give a token, or unset MCP_EXPOSE_TOKEN and omit --token-file to get a new one with each start';

/** A new token: `mcpx_` and 256 bits from the system's generator, in base64url. */
export function generateToken(): string {
  return tokenPrefix + randomBytes(tokenBytes).toString('base64url');
}

/**
 * A token that the user supplied, without surrounding white space.
 * @param origin where it came from, for the error message; the token itself never appears in one.
 * @throws ExposeError `token_unusable` when it is empty or cannot be sent as a bearer token (RFC 6750 §2.1).
 */
export function checkToken(supplied: string, origin: string): string {
  const token = supplied.trim();
  if (token === '') throw unusable(`${origin} is empty`, [newTokenHint]);
  if (token.startsWith(accessTokenPrefix)) {
    throw unusable(`the token in ${origin} begins with ${accessTokenPrefix}, as the access tokens of OAuth do`, [
      'choose another one',
    ]);
  }
  if (!bearerSyntax.test(token)) {
    throw unusable(`the token in ${origin} has characters that a bearer token cannot have`, [
      'use only letters, digits and - . _ ~ + /',
    ]);
  }
  return token;
}

/**
 * Reads a token from a file that only its owner may read, or from standard input when `path` is `-`.
 * @param signal ends the wait for standard input, and closes it.
 * @throws ExposeError `token_unusable`: missing, not a file, readable by others, too large, empty or not a bearer token;
 * or the signal's reason.
 */
export async function readTokenFile(
  path: string,
  stdin: Readable,
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  if (path === '-') return checkToken(await readInput(stdin, signal), 'standard input');
  // The error must not show a token that was given as the file name.
  if (looksLikeToken(path)) {
    throw unusable('--token-file takes the name of a file, not the token itself', [
      'write the token into a file, or set MCP_EXPOSE_TOKEN; to use a file of this name, write ./ before it',
    ]);
  }
  const text = await readPrivateFile(path, {
    what: 'token file',
    code: 'token_unusable',
    maxBytes: maxTokenFileBytes,
    missingHint: `make one: (umask 077; echo "mcpx_$(openssl rand -hex 32)" > ${shellQuote(path)})`,
  });
  return checkToken(text, `the token file ${path}`);
}

async function readInput(stdin: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const input: AsyncIterable<string | Buffer> = addAbortSignal(signal, stdin);
    for await (const chunk of input) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      size += bytes.length;
      // Leaving the loop early closes the stream.
      if (size > maxTokenFileBytes) throw unusable(`standard input is larger than ${maxTokenFileBytes} bytes`);
      chunks.push(bytes);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ExposeError) throw error;
    throw unusable(`cannot read the token from standard input: ${messageOf(error)}`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unusable(message: string, hints: readonly string[] = []): ExposeError {
  return new ExposeError('token_unusable', message, { hints });
}
