import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Clock } from '../../platform/clock.ts';
import type { AuthorizationRequest } from './authorization-request.ts';
import { parseJson } from './client-metadata.ts';
import { digestOf, matchesDigest, newSecret } from './digest.ts';

/** How long a consent page can be submitted, in milliseconds: the life of a pairing code. */
const formLifeMs: number = 10 * 60_000;

/** Longest value of the cookie of a sign-in, in characters: browsers ignore a cookie of more than 4096 (RFC 6265bis §5.6). */
const maxSignInLength = 3900;

/** What a consent page carries in a hidden field. */
export interface SealedForm {
  /** Identifies one page, to count its tries. */
  readonly id: string;
  readonly request: AuthorizationRequest;
  /** Who signed in at the identity provider. */
  readonly user?: string;
  /** Digest of the cookie of the browser that opened the page. */
  readonly browser: string;
  readonly expiresAt: number;
}

/**
 * Keeps the authorization request in the consent page itself, signed and bound to the browser that opened it: that is its
 * CSRF token, and strangers who open a million pages take no memory and drive out nobody.
 */
export interface ConsentForms {
  /** The cookie of a browser, from its request or a new one. */
  browserOf(cookieHeader: string | undefined): string;
  /** Value of Set-Cookie. */
  setCookie(browser: string): string;
  seal(request: AuthorizationRequest, browser: string, user?: string): string;
  /** The form if this server made it for this browser within ten minutes. */
  open(sealed: string, cookieHeader: string | undefined): SealedForm | undefined;
  /** A secret of 256 bits that belongs to a sealed form, always the same for the same use. */
  secretFor(use: 'state' | 'nonce' | 'verifier', sealed: string): string;
  /**
   * Value of Set-Cookie that keeps a sealed form while its browser is at the identity provider; `''` ends that. Undefined if
   * the form is too long for a cookie.
   */
  setSignInCookie(sealed: string): string | undefined;
  /** The sealed form in the cookie; empty without one. */
  signInOf(cookieHeader: string | undefined): string;
}

export function createConsentForms(issuer: string, clock: Clock): ConsentForms {
  const key = randomBytes(32);
  const { protocol, pathname } = new URL(issuer);
  const isSecure = protocol === 'https:';
  const isRoot = pathname === '/';
  // __Host- (RFC 6265bis §4.1.3.2) keeps other hosts of the same domain from setting it; it needs https and the root path.
  const prefix = isSecure ? (isRoot ? '__Host-' : '__Secure-') : '';
  const name = `${prefix}mcp-expose-consent`;
  const signInName = `${prefix}mcp-expose-sign-in`;
  const attributes = `Path=${pathname}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
  const cookieSyntax = new RegExp(`(?:^|; *)${name}=([\\w-]{43})(?:;|$)`);
  const signInSyntax = new RegExp(`(?:^|; *)${signInName}=([\\w.-]+)(?:;|$)`);

  const cookieIn = (header: string | undefined): string | undefined => cookieSyntax.exec(header ?? '')?.[1];
  const sign = (text: string): Buffer => createHmac('sha256', key).update(text).digest();

  return {
    // The same for all pages of a browser, so that several can be open.
    browserOf: (header) => cookieIn(header) ?? newSecret(),
    setCookie: (browser) => `${name}=${browser}; ${attributes}`,
    seal(request, browser, user) {
      const expiresAt = clock.now() + formLifeMs;
      const about = user === undefined ? { request } : { request, user };
      const form: SealedForm = { id: newSecret(), ...about, browser: digestOf(browser), expiresAt };
      const text = Buffer.from(JSON.stringify(form)).toString('base64url');
      return `${text}.${sign(text).toString('base64url')}`;
    },
    open(sealed, header) {
      const [text = '', signature = ''] = sealed.split('.', 2);
      const [own, given] = [sign(text), Buffer.from(signature, 'base64url')];
      if (given.length !== own.length || !timingSafeEqual(given, own)) return undefined;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- signed, so it is what `seal` made
      const form = parseJson(Buffer.from(text, 'base64url').toString()) as SealedForm;
      const browser = cookieIn(header);
      const isOfBrowser = browser !== undefined && matchesDigest(browser, form.browser);
      return isOfBrowser && clock.now() < form.expiresAt ? form : undefined;
    },
    // A colon is not in base64url, so that none of them is the signature of a form.
    secretFor: (use, sealed) => sign(`${use}:${sealed}`).toString('base64url'),
    setSignInCookie(sealed) {
      if (sealed.length > maxSignInLength) return undefined;
      return `${signInName}=${sealed}; Max-Age=${sealed === '' ? 0 : formLifeMs / 1000}; ${attributes}`;
    },
    signInOf: (header) => signInSyntax.exec(header ?? '')?.[1] ?? '',
  };
}
