import type { Clock } from '../../platform/clock.ts';
import {
  readAuthorizationRequest,
  type AuthorizationRequest,
  type ReadRequestOptions,
} from './authorization-request.ts';
import type { ConsentForms } from './consent-form.ts';
import { consentPage, errorPage, type ConsentView } from './consent-page.ts';
import type { OAuthEvent, PairingRequest, RefusalReason } from './events.ts';
import type { Grants } from './grants.ts';
import {
  methodNotAllowed,
  parameter,
  readForm,
  redirectResponse,
  type OAuthRequest,
  type OAuthResponse,
} from './message.ts';
import type { Pairing } from './pairing.ts';
import { redirectHost, withParameters } from './redirect-uris.ts';
import { narrower, readScope } from './scopes.ts';

/** Wrong codes in one consent page; the client then has to start again. */
const maxWrongCodes = 5;

/** Pages whose wrong codes are counted; each needs a wrong code, and those are limited for everybody together. */
const maxCountedForms = 1000;

/** How long the owner may take on the terminal, in milliseconds: tunnels end a request without an answer after 100 s. */
const confirmTimeoutMs = 90_000;

export type PairingMode = 'code' | 'tty' | 'both';
export type Confirm = (request: PairingRequest, signal: AbortSignal) => Promise<boolean>;

export interface AuthorizeEndpointOptions extends ReadRequestOptions {
  readonly sharedName: () => string;
  readonly mode: PairingMode;
  readonly confirm: Confirm | undefined;
  readonly forms: ConsentForms;
  readonly pairing: Pairing;
  readonly grants: Grants;
  readonly clock: Clock;
  /** The consent page of a client was opened. */
  readonly onOpened: (clientId: string) => void;
  readonly onEvent: (event: OAuthEvent) => void;
}

/** `/authorize` (RFC 6749 §3.1): asks the owner each time, whatever was approved before. */
export interface AuthorizeEndpoint {
  handle(request: OAuthRequest): Promise<OAuthResponse>;
  /** Takes back the question on the terminal. */
  close(): void;
}

export function createAuthorizeEndpoint(options: AuthorizeEndpointOptions): AuthorizeEndpoint {
  const { issuer, sharedName, mode, confirm, forms, pairing, grants, clock, onOpened, onEvent } = options;
  const asksForCode = mode !== 'tty';
  const asksOnTerminal = mode !== 'code';
  const wrongCodes = new Map<string, number>();
  let asking: AbortController | undefined;

  async function show(request: OAuthRequest): Promise<OAuthResponse> {
    const read = await readAuthorizationRequest(request.query, request.address, options);
    if (read.kind === 'error_page') return errorPage(400, read);
    if (read.kind === 'redirect') return redirectResponse(read.location);
    onOpened(read.request.clientId);
    onEvent({ kind: 'access_requested', request: pairingRequest(read.request, request.address) });
    const browser = forms.browserOf(request.header('cookie'));
    const view = viewOf(read.request, forms.seal(read.request, browser));
    return consentPage(200, view, forms.setCookie(browser));
  }

  async function decide(request: OAuthRequest): Promise<OAuthResponse> {
    const read = readForm(request);
    const origin = request.header('origin');
    if ('failure' in read || (origin !== undefined && origin !== new URL(issuer).origin)) return expiredPage();
    const sealed = read.form.get('request') ?? '';
    const opened = forms.open(sealed, request.header('cookie'));
    const wrongCount = wrongCodes.get(opened?.id ?? '') ?? 0;
    if (opened === undefined || wrongCount >= maxWrongCodes) return expiredPage();

    const scope = narrower(opened.request.scope, readScope(parameter(read.form, 'scope')));
    const asked: AuthorizationRequest = { ...opened.request, scope };
    const about = pairingRequest(asked, request.address);
    const refuse = (reason: RefusalReason): OAuthResponse => {
      onEvent({ kind: 'access_refused', request: about, reason });
      return toClient(asked, { error: 'access_denied', error_description: refusals[reason] });
    };
    const again = (status: number, error: string): OAuthResponse => {
      const view = viewOf(opened.request, sealed);
      return consentPage(status, { ...view, error, isReadOnlyChosen: scope === 'mcp:read' });
    };

    if (read.form.get('decision') !== 'approve') return refuse('denied_in_browser');
    if (asksOnTerminal && asking !== undefined) {
      return again(429, 'Another request waits for an answer on the terminal. Try again when it has been answered.');
    }
    if (asksForCode) {
      const verdict = pairing.check(read.form.get('code') ?? '');
      if (verdict === 'locked') {
        const seconds = Math.ceil((pairing.lockedUntil - clock.now()) / 1000);
        return again(429, `Too many wrong codes were entered. Try again in ${seconds} seconds, with the new code.`);
      }
      if (verdict === 'wrong') {
        setWrongCodes(opened.id, wrongCount + 1);
        if (wrongCount + 1 >= maxWrongCodes) return refuse('wrong_codes');
        return again(403, 'This is not the code on the terminal. It changes every ten minutes and after each use.');
      }
    }
    if (asksOnTerminal) {
      const answer = await askOnTerminal(about);
      if (answer !== 'yes') return refuse(answer === 'no' ? 'denied_on_terminal' : 'no_answer_on_terminal');
    }
    // A page that was approved cannot be sent again.
    setWrongCodes(opened.id, maxWrongCodes);
    return approve(asked, about);
  }

  function approve(asked: AuthorizationRequest, about: PairingRequest): OAuthResponse {
    const { grantId, code } = grants.approve(asked);
    onEvent({ kind: 'access_approved', request: about, grantId });
    return toClient(asked, { code });
  }

  /** Back to the client; with `iss`, so that it can tell which server it talks to (RFC 9207). */
  function toClient({ redirectUri, state }: AuthorizationRequest, params: Record<string, string>): OAuthResponse {
    return redirectResponse(withParameters(redirectUri, { ...params, state, iss: issuer }));
  }

  /** One question at a time, so that strangers cannot fill the terminal. Whatever fails is not consent. */
  async function askOnTerminal(about: PairingRequest): Promise<'yes' | 'no' | 'no_answer'> {
    const question = new AbortController();
    asking = question;
    const cancel = clock.after(confirmTimeoutMs, () => question.abort());
    try {
      const aborted = new Promise<false>((resolve) => {
        question.signal.addEventListener('abort', () => resolve(false), { once: true });
      });
      const confirmed = async (): Promise<boolean> => (await confirm?.(about, question.signal)) === true;
      const isConfirmed = await Promise.race([confirmed().catch(() => false), aborted]);
      if (question.signal.aborted) return 'no_answer';
      return isConfirmed ? 'yes' : 'no';
    } finally {
      cancel();
      asking = undefined;
    }
  }

  function setWrongCodes(id: string, count: number): void {
    wrongCodes.delete(id);
    const [oldest] = wrongCodes.keys();
    if (wrongCodes.size >= maxCountedForms && oldest !== undefined) wrongCodes.delete(oldest);
    wrongCodes.set(id, count);
  }

  const viewOf = (request: AuthorizationRequest, sealed: string): ConsentView => ({
    request,
    sealed,
    sharedName: sharedName(),
    asksForCode,
    asksOnTerminal,
  });

  return {
    async handle(request) {
      if (request.method === 'GET') return show(request);
      if (request.method === 'POST') return decide(request);
      return methodNotAllowed('GET, POST');
    },
    close: () => asking?.abort(),
  };
}

const refusals: Readonly<Record<RefusalReason, string>> = {
  denied_in_browser: 'access was denied',
  denied_on_terminal: 'the owner denied access',
  no_answer_on_terminal: 'the owner did not answer in time',
  wrong_codes: 'too many wrong pairing codes',
};

function pairingRequest(request: AuthorizationRequest, address: string | undefined): PairingRequest {
  const { clientName, publisher, redirectUri, scope, resource } = request;
  return { clientName, publisher, redirectHost: redirectHost(redirectUri), scope, resource, address };
}

/** Also for a form that another browser or another site sent. */
function expiredPage(): OAuthResponse {
  return errorPage(400, {
    title: 'This page cannot be used any more',
    message: 'It has expired, was used already, or cookies are blocked in this browser. Start again in the app.',
  });
}
