import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Clock } from '../../platform/clock.ts';
import type { AuthorizationRequest } from './authorization-request.ts';
import { parseJson } from './client-metadata.ts';
import { digestOf, matchesDigest, newSecret } from './digest.ts';

/** How long a consent page can be submitted, in milliseconds: the life of a pairing code. */
const formLifeMs: number = 10 * 60_000;

/** What a consent page carries in a hidden field. */
interface SealedForm {
  /** Identifies one page, to count its tries. */
  readonly id: string;
  readonly request: AuthorizationRequest;
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
  seal(request: AuthorizationRequest, browser: string): string;
  /** The form if this server made it for this browser within ten minutes. */
  open(sealed: string, cookieHeader: string | undefined): SealedForm | undefined;
}

export function createConsentForms(issuer: string, clock: Clock): ConsentForms {
  const key = randomBytes(32);
  const { protocol, pathname } = new URL(issuer);
  const isSecure = protocol === 'https:';
  const isRoot = pathname === '/';
  // __Host- (RFC 6265bis §4.1.3.2) keeps other hosts of the same domain from setting it; it needs https and the root path.
  const name = `${isSecure ? (isRoot ? '__Host-' : '__Secure-') : ''}mcp-expose-consent`;
  const attributes = `Path=${pathname}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
  const cookieSyntax = new RegExp(`(?:^|; *)${name}=([\\w-]{43})(?:;|$)`);

  const cookieIn = (header: string | undefined): string | undefined => cookieSyntax.exec(header ?? '')?.[1];
  const sign = (text: string): Buffer => createHmac('sha256', key).update(text).digest();

  return {
    // The same for all pages of a browser, so that several can be open.
    browserOf: (header) => cookieIn(header) ?? newSecret(),
    setCookie: (browser) => `${name}=${browser}; ${attributes}`,
    seal(request, browser) {
      const expiresAt = clock.now() + formLifeMs;
      const form: SealedForm = { id: newSecret(), request, browser: digestOf(browser), expiresAt };
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
  };
}
