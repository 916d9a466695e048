import type { OAuthRequest, OAuthResponse } from '../auth/oauth/message.ts';
import type { BodyReader } from './body.ts';
import { valuesOf, type HttpRequest, type HttpResponse } from './message.ts';
import { refuse } from './responses/json-response.ts';
import { inOnePiece } from '../platform/bytes.ts';

/** The authorization server as the edge sees it. */
export interface OAuthRoutes {
  /** Whether it serves a path. */
  serves(path: string): boolean;
  /** Whether the owner's browser opens it, instead of the client. */
  isForOwner(path: string): boolean;
  handle(request: OAuthRequest): Promise<OAuthResponse>;
}

/** Serves a request to the authorization server. @param address of the client, as far as the tunnel tells it. */
export function serveOAuth(
  request: HttpRequest,
  response: HttpResponse,
  {
    routes,
    bodies,
    address,
  }: { readonly routes: OAuthRoutes; readonly bodies: BodyReader; readonly address: string | undefined },
): void {
  const [path = '', ...query] = (request.url ?? '').split('?');
  bodies.read(request, (body) => {
    if (body === 'cut off') return;
    if (body === 'too large') {
      refuse(request, response, { status: 413, message: `the body is larger than ${bodies.maxBytes} bytes` });
      return;
    }
    const asked: OAuthRequest = {
      method: request.method ?? '',
      path,
      query: new URLSearchParams(query.join('?')),
      header: (name) => {
        const [value, ...further] = valuesOf(request, name);
        // Cookies may come in several fields (RFC 9113 §8.2.3).
        if (name === 'cookie' && value !== undefined) return [value, ...further].join('; ');
        return further.length === 0 ? value : undefined;
      },
      body: inOnePiece(body).toString('utf8'),
      address,
    };
    void answer(routes, asked, response);
  });
}

async function answer(routes: OAuthRoutes, asked: OAuthRequest, response: HttpResponse): Promise<void> {
  const { status, headers, body } = await routes.handle(asked).catch((): OAuthResponse => ({
    status: 500,
    headers: { 'content-type': 'application/json' },
    body: '{"error":"server_error"}',
  }));
  const content = Buffer.from(body);
  response.writeHead(status, { ...headers, ...(status === 204 ? {} : { 'content-length': content.length }) });
  response.end(asked.method === 'HEAD' ? '' : content);
}
