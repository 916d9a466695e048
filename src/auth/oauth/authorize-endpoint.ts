import type { Clock } from '../../platform/clock.ts';
import { toSingleLine } from '../../platform/text/sanitize.ts';
import {
  readAuthorizationRequest,
  type AuthorizationRequest,
  type ReadRequestOptions,
} from './authorization-request.ts';
import type { ConsentForms } from './consent-form.ts';
import { consentPage, errorPage, type ConsentView } from './consent-page.ts';
import { type OAuthEvent, type PairingRequest, type RefusalReason, type SignInRefusal } from './events.ts';
import type { Grants } from './grants.ts';
import { createIdentitySignIn, type Identity } from './identity-sign-in.ts';
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
  /** Users sign in there, instead of `mode`. */
  readonly identity: Identity | undefined;
  readonly forms: ConsentForms;
  readonly pairing: Pairing;
  readonly grants: Grants;
  readonly clock: Clock;
  /** The name of a client that is approved, from then on. */
  readonly nameOf: (request: PairingRequest) => string;
  /** The consent page of a client was opened. */
  readonly onOpened: (clientId: string) => void;
  readonly onEvent: (event: OAuthEvent) => void;
}

/** `/authorize` (RFC 6749 §3.1): asks each time, whatever was approved before. */
export interface AuthorizeEndpoint {
  handle(request: OAuthRequest): Promise<OAuthResponse>;
  /** The browser comes back from the identity provider. */
  handleSignIn(request: OAuthRequest): Promise<OAuthResponse>;
  /** Takes back the question on the terminal. */
  close(): void;
}

export function createAuthorizeEndpoint(options: AuthorizeEndpointOptions): AuthorizeEndpoint {
  const { issuer, sharedName, mode, confirm, identity, forms, pairing, grants, clock, nameOf, onOpened, onEvent } =
    options;
  const asksForCode = identity === undefined && mode !== 'tty';
  const asksOnTerminal = identity === undefined && mode !== 'code';
  const signIn = identity && createIdentitySignIn({ issuer, identity, forms, clock });
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
    const about = pairingRequest(asked, request.address, opened.user);
    const refuse = (reason: Exclude<RefusalReason, SignInRefusal>): OAuthResponse => {
      onEvent({ kind: 'access_refused', request: about, reason });
      return toClient(asked, { error: 'access_denied', error_description: refusals[reason] });
    };
    const again = (status: number, error: string): OAuthResponse => {
      const view = viewOf(opened.request, sealed);
      return consentPage(status, { ...view, error, isReadOnlyChosen: scope === 'mcp:read' });
    };

    if (read.form.get('decision') !== 'approve') return refuse('denied_in_browser');
    if (signIn !== undefined && opened.user === undefined) {
      const begun = await signIn.begin(opened.request, forms.browserOf(request.header('cookie')), request.address);
      if (begun === 'too_long') return tooLongPage;
      return begun === 'too_many' ? tooManySignInsPage : begun;
    }
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
    const clientName = nameOf(about);
    const { grantId, code } = grants.approve({ ...asked, clientName });
    onEvent({ kind: 'access_approved', request: about, clientName, grantId });
    return toClient(asked, { code });
  }

  /** Consent is a click of its own, upon a page that shows who signed in. */
  async function comeBack(request: OAuthRequest): Promise<OAuthResponse> {
    if (signIn === undefined || identity === undefined) return expiredPage();
    const verdict = await signIn.finish(request);
    if (verdict.kind === 'unknown') return expiredPage();
    const { form, user } = verdict;
    const sealed = forms.seal(
      form.request,
      forms.browserOf(request.header('cookie')),
      verdict.kind === 'allowed' ? verdict.user : undefined,
    );
    const view = viewOf(form.request, sealed);
    if (verdict.kind === 'allowed') return consentPage(200, { ...view, user: verdict.user }, signIn.forget);
    const { reason, detail } = verdict;
    const about = pairingRequest(form.request, request.address, user);
    onEvent({ kind: 'access_refused', request: about, reason, ...(detail === undefined ? {} : { detail }) });
    const error = signInProblems[reason](identity.provider.host, user);
    return consentPage(403, { ...view, error }, signIn.forget);
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
    ...(identity === undefined ? {} : { signsInAt: identity.provider.host }),
  });

  return {
    async handle(request) {
      if (request.method === 'GET') return show(request);
      if (request.method === 'POST') return decide(request);
      return methodNotAllowed('GET, POST');
    },
    handleSignIn: async (request) => (request.method === 'GET' ? comeBack(request) : methodNotAllowed('GET')),
    close: () => asking?.abort(),
  };
}

const refusals: Readonly<Record<Exclude<RefusalReason, SignInRefusal>, string>> = {
  denied_in_browser: 'access was denied',
  denied_on_terminal: 'the owner denied access',
  no_answer_on_terminal: 'the owner did not answer in time',
  wrong_codes: 'too many wrong pairing codes',
};

/** What the page says; only the owner is told what the provider answered. */
const signInProblems: Readonly<Record<SignInRefusal, (host: string, user: string | undefined) => string>> = {
  user_not_allowed: (host, user) =>
    `${user} may not use this server. To sign in as somebody else, sign out at ${host} first.`,
  email_not_verified: (host) => `${host} did not say which e-mail address you have, or has not verified it.`,
  sign_in_failed: (host) => `${host} did not confirm who you are. Try again, or ask the owner of this server.`,
};

function pairingRequest(request: AuthorizationRequest, address: string | undefined, user?: string): PairingRequest {
  const { clientName, publisher, redirectUri, scope, resource } = request;
  const about = { clientName, publisher, redirectHost: redirectHost(redirectUri), scope, resource, address };
  return user === undefined ? about : { ...about, user: toSingleLine(user) };
}

const tooLongPage: OAuthResponse = errorPage(400, {
  title: 'This request cannot be used',
  message: 'The app sent more than fits into a cookie (state).',
});

const tooManySignInsPage: OAuthResponse = errorPage(429, {
  title: 'Too many sign-ins',
  message: 'Too many sign-ins were begun from your network. Start again in the app, in a few minutes.',
});

/** Also for a form that another browser or another site sent. */
function expiredPage(): OAuthResponse {
  return errorPage(400, {
    title: 'This page cannot be used any more',
    message: 'It has expired, was used already, or cookies are blocked in this browser. Start again in the app.',
  });
}
