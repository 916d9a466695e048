import type { Clock } from '../../platform/clock.ts';
import type { IdentityProvider } from '../oidc/identity-provider.ts';
import type { AuthorizationRequest } from './authorization-request.ts';
import type { ConsentForms, SealedForm } from './consent-form.ts';
import { digestOf, matchesDigest } from './digest.ts';
import type { SignInRefusal } from './events.ts';
import { parameter, redirectResponse, type OAuthRequest, type OAuthResponse } from './message.ts';
import { createRateLimit } from './rate-limit.ts';

/** Path of the redirect URI below the issuer. */
export const signInPath = '/oauth-callback';

/** Sign-ins that one network can begin and not complete: the end of each takes requests to the provider. */
const maxSignInsPerHour = 60;

/** Sign-ins that are remembered so that they work once; a provider accepts its code once, too. */
const maxUsed = 1000;

/** Where users sign in, and who of them may. */
export interface Identity {
  readonly provider: Pick<IdentityProvider, 'host' | 'signInUrl' | 'signedIn'>;
  readonly allows: (email: string) => boolean;
}

/** The end of a sign-in; `form` is the one that began it. */
export type SignInVerdict =
  | { readonly kind: 'allowed'; readonly form: SealedForm; readonly user: string }
  | {
      readonly kind: 'refused';
      readonly form: SealedForm;
      readonly reason: SignInRefusal;
      readonly user?: string;
      readonly detail?: string;
    }
  /** Nothing that this browser began, or not any more. */
  | { readonly kind: 'unknown' };

/**
 * The way of a browser to the identity provider and back. What belongs to it is in a cookie of that browser, so that strangers
 * who begin a million sign-ins take no memory and drive out nobody.
 */
export interface IdentitySignIn {
  /**
   * @param browser as `ConsentForms.browserOf` gives it.
   * @param address of the browser, if it is known.
   * @returns the redirect to the provider, or why there is none: the request does not fit into a cookie, or the network began
   * too many.
   */
  begin(
    request: AuthorizationRequest,
    browser: string,
    address: string | undefined,
  ): Promise<OAuthResponse | 'too_long' | 'too_many'>;
  /** Has no limit of its own: each sign-in that was begun works once, and others must not keep its user out. */
  finish(request: OAuthRequest): Promise<SignInVerdict>;
  /** Value of Set-Cookie that removes what `begin` left in the browser. */
  readonly forget: string;
}

export function createIdentitySignIn({
  issuer,
  identity: { provider, allows },
  forms,
  clock,
}: {
  readonly issuer: string;
  readonly identity: Identity;
  readonly forms: ConsentForms;
  readonly clock: Clock;
}): IdentitySignIn {
  const redirectUri = issuer + signInPath;
  const rateLimit = createRateLimit(maxSignInsPerHour, clock);
  const used = new Set<string>();

  const secretsOf = (sealed: string): Record<'state' | 'nonce' | 'verifier', string> => ({
    state: forms.secretFor('state', sealed),
    nonce: forms.secretFor('nonce', sealed),
    verifier: forms.secretFor('verifier', sealed),
  });

  return {
    async begin(request, browser, address) {
      const sealed = forms.seal(request, browser);
      const cookie = forms.setSignInCookie(sealed);
      if (cookie === undefined) return 'too_long';
      if (rateLimit.take(address) > 0) return 'too_many';
      const response = redirectResponse((await provider.signInUrl(redirectUri, secretsOf(sealed))).href);
      return { ...response, headers: { ...response.headers, 'set-cookie': cookie } };
    },
    async finish({ query, header, address }) {
      const sealed = forms.signInOf(header('cookie'));
      const form = forms.open(sealed, header('cookie'));
      const secrets = secretsOf(sealed);
      const isOwn = matchesDigest(parameter(query, 'state') ?? '', digestOf(secrets.state));
      if (form === undefined || !isOwn || used.has(form.id)) return { kind: 'unknown' };
      // Before the provider is asked: two answers at the same time are one too many.
      const [oldest] = used;
      if (used.size >= maxUsed && oldest !== undefined) used.delete(oldest);
      used.add(form.id);

      const result = await provider.signedIn(new URL(`${redirectUri}?${query.toString()}`), secrets);
      if (result.kind === 'failed') return { kind: 'refused', form, reason: 'sign_in_failed', detail: result.reason };
      if (result.kind === 'unverified') return { kind: 'refused', form, reason: 'email_not_verified' };
      const { email: user } = result;
      if (!allows(user)) return { kind: 'refused', form, reason: 'user_not_allowed', user };
      rateLimit.giveBack(address);
      return { kind: 'allowed', form, user };
    },
    forget: forms.setSignInCookie('') ?? '',
  };
}
