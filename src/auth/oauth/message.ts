/** A request to the authorization server, read whole. */
export interface OAuthRequest {
  readonly method: string;
  /** Path below the issuer, without the query: `/authorize`, `/.well-known/oauth-authorization-server`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The value of a header that was sent once, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** At most `maxOAuthBodyBytes` as text; empty if there is none. */
  readonly body: string;
  /** Address of the client as far as the tunnel tells it. */
  readonly address: string | undefined;
}

export interface OAuthResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Registrations take about 1 KB, the consent form at most the 16 KB of a request head, in base64. */
export const maxOAuthBodyBytes: number = 64 * 1024;

/** Nothing that the authorization server returns may be stored (RFC 6749 §5.1), so that changes take effect at once. */
const everyResponse = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): OAuthResponse {
  return {
    status,
    headers: { ...everyResponse, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/** An error as RFC 6749 §5.2, RFC 7591 §3.2.2 and RFC 7009 §2.2.1 define it. */
export function errorResponse(
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): OAuthResponse {
  return jsonResponse(status, { error, error_description: description }, headers);
}

export function htmlResponse(status: number, body: string, headers: Readonly<Record<string, string>>): OAuthResponse {
  return { status, headers: { ...everyResponse, 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

/** 303: the browser must not send the form on to the client (RFC 9700 §4.12). */
export function redirectResponse(location: string): OAuthResponse {
  return { status: 303, headers: { ...everyResponse, location, 'referrer-policy': 'no-referrer' }, body: '' };
}

export function methodNotAllowed(allow: string): OAuthResponse {
  return errorResponse(405, 'invalid_request', `use ${allow}`, { allow });
}

/**
 * The parameters of a form-encoded body.
 * @returns a response with the error if the body has another type, or a parameter more than once (RFC 6749 §3.2).
 */
export function readForm(request: OAuthRequest): { form: URLSearchParams } | { failure: OAuthResponse } {
  const [type = ''] = (request.header('content-type') ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/x-www-form-urlencoded') {
    return {
      failure: errorResponse(400, 'invalid_request', 'the content type must be application/x-www-form-urlencoded'),
    };
  }
  const form = new URLSearchParams(request.body);
  const repeated = repeatedParameter(form);
  if (repeated === undefined) return { form };
  return { failure: errorResponse(400, 'invalid_request', `${repeated} is given more than once`) };
}

/** The name of a parameter that is there more than once; also `resource`, since each token is for one endpoint or all. */
export function repeatedParameter(params: URLSearchParams): string | undefined {
  const seen = new Set<string>();
  for (const name of params.keys()) {
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** The value of a parameter; one without a value counts as omitted (RFC 6749 §3.1). */
export function parameter(params: URLSearchParams, name: string): string | undefined {
  return params.get(name) || undefined;
}
