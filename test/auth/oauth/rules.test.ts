// The rules of MCP's authorization (revisions 2025-03-26 to 2026-07-28) and of OAuth 2.1 that names of tests refer to.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../harness/program.ts';

const rules = {
  R1: 'no token: 401',
  R2: 'the challenge names the metadata of the protected resource by an absolute URL',
  R3: 'the challenge names a scope',
  R4: 'no error in the challenge without a token; invalid_token for a wrong one',
  R5: 'metadata of the protected resource at the root and with the path of the endpoint',
  R6: 'resource is the exact URL that the user pastes',
  R7: 'all URLs are built from the public origin, never from headers of a request',
  R8: 'a token in the query is not accepted',
  R9: 'each request is checked, with a session id, too',
  R10: 'a token for another audience is not accepted',
  R11: 'the token of a caller never reaches the server behind',
  R12: 'a scope that is too small: 403 insufficient_scope with all that are needed',
  R13: 'offline_access is not a scope of the resource',
  R14: 'a foreign Origin, or null: 403',
  R15: 'the local listener is on loopback',
  R16: 'session ids are random and bound to the credential',
  A1: 'metadata of the authorization server, whose issuer is the one that the resource names',
  A2: 'endpoints are where clients of 2025-03-26 expect them',
  A3: 'S256 is announced',
  A4: 'PKCE is required, with S256',
  A5: 'redirect URIs are compared as strings, on loopback without the port',
  A6: 'an unknown client or redirect URI gets a page, never a redirect',
  A7: 'no redirect URI that runs something, and http on loopback only',
  A8: 'resource is checked before a code or token is used up',
  A9: 'iss in each response',
  A10: 'client metadata documents are validated',
  A11: 'their fetch reaches the Internet alone, with limits',
  A12: 'the consent page shows name, publisher and redirect host, and warns of loopback',
  A13: 'the consent form is bound to the browser, and cannot be framed',
  A14: 'codes work once, briefly, for what they were issued for; their reuse revokes',
  A15: 'refresh tokens are rotated; their reuse revokes',
  A16: 'access tokens live briefly, responses are not stored',
  A17: 'registration is answered with 201',
  A18: 'registration ignores what it does not know',
  A19: 'an unknown client at /token: 401 invalid_client',
  A20: '/token takes forms only, and never answers 500',
  A21: 'https, except on loopback',
  A22: 'unknown well-known paths: 404 in JSON',
  A23: 'CORS, with the challenge exposed',
} as const;

/** The beginnings of lines that name tests, and of rows of their tables. */
const names = readdirSync(path.join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && !file.endsWith('rules.test.ts'))
  .flatMap((file) => readFileSync(path.join(projectRoot, 'test', file), 'utf8').split('\n'))
  .filter((line) => /^\s*(?:(?:test|describe)(?:\.each)?\(|\]\)\(|['"[])/.test(line));

test.each(Object.entries(rules))('%s, %s, is the name of a test', (rule) => {
  const word = new RegExp(`['"\` ]${rule}[ :,]`);
  expect(names.filter((line) => word.test(line))).not.toEqual([]);
});
