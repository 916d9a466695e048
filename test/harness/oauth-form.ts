// OAuth as curl would do it: no SDK that repairs what it gets, no browser, every header under control.
import { createHash } from 'node:crypto';
import type { Exposed } from './expose.ts';
import { withCode } from './oauth-sign-in.ts';
import { parseJson } from './parse-json.ts';
import { type RawReply, type RawRequest, send } from './raw-http.ts';

const verifier: string = 'v'.repeat(43);

export interface Issued {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly scope: string;
}

/** URL of an endpoint of the authorization server. */
export function endpointOf({ url }: Pick<Exposed, 'url'>, name: string): string {
  return `${url.replace(/\/mcp$/, '')}/${name}`;
}

export function postForm(
  url: string,
  form: Record<string, string>,
  more: RawRequest['headers'] = [],
): Promise<RawReply> {
  const headers: [string, string][] = [['Content-Type', 'application/x-www-form-urlencoded'], ...more];
  return send(url, { method: 'POST', headers, body: new URLSearchParams(form).toString() });
}

/** @returns the client id. */
export async function register(exposed: Pick<Exposed, 'url'>, redirectUri: string, name = 'Some App'): Promise<string> {
  const reply = await send(endpointOf(exposed, 'register'), {
    method: 'POST',
    headers: [['Content-Type', 'application/json']],
    body: JSON.stringify({ client_name: name, redirect_uris: [redirectUri] }),
  });
  return parseJson<{ client_id: string }>(reply.body).client_id;
}

/** Types the code from the terminal into the consent page. @returns where the browser is sent. */
export async function approve(exposed: Exposed, authorizeUrl: string): Promise<URL> {
  const page = await send(authorizeUrl);
  const [cookie = ''] = page.headers['set-cookie']?.[0]?.split(';') ?? [];
  const request = /name="request" value="([^"]*)"/.exec(page.body)?.[1] ?? '';
  const { origin, pathname } = new URL(authorizeUrl);
  const answer = await withCode(exposed, (code) =>
    postForm(origin + pathname, { request, code, decision: 'approve' }, [
      ['Cookie', cookie],
      ['Origin', origin],
    ]),
  );
  if (answer.headers.location === undefined) throw new Error(`${answer.status}: ${answer.body}`);
  return new URL(answer.headers.location);
}

/** The whole way in of a new client. */
export async function signInByForm(
  exposed: Exposed,
  params: Record<string, string> = {},
  name?: string,
): Promise<Issued> {
  const redirectUri = 'http://127.0.0.1/callback';
  const clientId = await register(exposed, redirectUri, name);
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...params,
  });
  const callback = await approve(exposed, `${endpointOf(exposed, 'authorize')}?${query.toString()}`);
  const reply = await postForm(endpointOf(exposed, 'token'), {
    grant_type: 'authorization_code',
    client_id: clientId,
    code: callback.searchParams.get('code') ?? '',
    code_verifier: verifier,
    redirect_uri: redirectUri,
  });
  return parseJson<Issued>(reply.body);
}
