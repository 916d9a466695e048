import { excerpt } from '../../platform/text/sanitize.ts';
import type { Scope } from './scopes.ts';

/** What the owner decides about. All texts come from outside, and are without control characters. */
export interface PairingRequest {
  readonly clientName: string;
  /** Host of the client's metadata document; undefined if it registered itself, with any name it likes. */
  readonly publisher: string | undefined;
  /** Host to which the browser is sent with the code, with its port; of an app with its scheme, `cursor://…`. */
  readonly redirectHost: string;
  readonly scope: Scope;
  /** The one MCP endpoint that it asked for; undefined for all. */
  readonly resource: string | undefined;
  readonly address: string | undefined;
  /** E-mail address of who signed in at the identity provider; missing before that, and if there is none. */
  readonly user?: string;
}

/** Longest name of a client before that of its user, in characters: names are cut where they are shown. */
const maxNameBeforeUser = 40;

/** The name of a client for its calls, with its user: `Claude (ada@example.com)`. Several clients can have it. */
export function callerName({ clientName, user }: Pick<PairingRequest, 'clientName' | 'user'>): string {
  return user === undefined ? clientName : `${excerpt(clientName, maxNameBeforeUser)} (${user})`;
}

/**
 * What happened, for the terminal. `clientName` comes from outside, and is without control characters; from the approval on,
 * it is the name by which the client is listed.
 */
export type OAuthEvent =
  | { readonly kind: 'pairing_code_changed'; readonly code: string; readonly reason: 'expired' | 'used' | 'guessing' }
  /** Too many wrong codes: none is accepted until `until`, in milliseconds of the clock. */
  | { readonly kind: 'guessing_locked'; readonly until: number }
  /** A browser opened the consent page for a client. */
  | { readonly kind: 'access_requested'; readonly request: PairingRequest }
  | {
      readonly kind: 'access_approved';
      readonly request: PairingRequest;
      readonly clientName: string;
      readonly grantId: string;
    }
  | {
      readonly kind: 'access_refused';
      readonly request: PairingRequest;
      readonly reason: RefusalReason;
      /** Of `sign_in_failed`: what the identity provider answered, in words. */
      readonly detail?: string;
    }
  | {
      readonly kind: 'token_issued';
      readonly clientName: string;
      readonly grantId: string;
      readonly scope: Scope;
      /** Whether a refresh token was exchanged, so that nobody had to approve it. */
      readonly isRenewed: boolean;
    }
  | {
      readonly kind: 'grant_revoked';
      readonly clientName: string;
      readonly grantId: string;
      readonly reason: RevokeReason;
    }
  /** The client did nothing for 60 s after this step: it gave up, or its service has a problem. */
  | { readonly kind: 'client_silent'; readonly clientName: string; readonly after: ClientStep }
  /** A hosted client that was set up with a header sent the header's name as its client_id (claude-ai-mcp#644). */
  | { readonly kind: 'header_mode'; readonly clientId: string }
  | {
      readonly kind: 'redirect_uri_refused';
      readonly clientName: string;
      readonly uri: string;
      readonly reason: string;
    }
  /** A client metadata document could not be used. */
  | { readonly kind: 'client_refused'; readonly clientId: string; readonly reason: string };

export type RefusalReason =
  | 'denied_in_browser'
  | 'denied_on_terminal'
  | 'no_answer_on_terminal'
  | 'wrong_codes'
  | SignInRefusal;

/** Why a sign-in at the identity provider gives no access. */
export type SignInRefusal = 'email_not_verified' | 'sign_in_failed' | 'user_not_allowed';

/**
 * `reused`: a code or a refresh token came a second time, so somebody else may have it (RFC 9700 §4.14.2); `not_exchanged`: the
 * client did not fetch its first token within a minute of the approval, or not as its request said.
 */
export type RevokeReason = 'not_exchanged' | 'reused' | 'revoked_by_client' | 'revoked_by_owner' | 'too_many_grants';

/** What a client did before it fell silent: it registered, or got its first token. */
export type ClientStep = 'registration' | 'token';
