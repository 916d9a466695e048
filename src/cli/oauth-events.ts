import type { OAuthEvent } from '../expose/options.ts';
import { named, quoted, shortened } from './quoted.ts';

type Requested = Extract<OAuthEvent, { readonly kind: 'access_requested' }>['request'];

/** What an event of OAuth means for the owner; undefined for what needs no words. */
export function oauthWords(event: OAuthEvent, pairingCode: string | undefined): string | undefined {
  switch (event.kind) {
    case 'pairing_code_changed':
      return event.reason === 'guessing'
        ? `wrong codes were typed, the pairing code is now ${event.code}`
        : `the pairing code is now ${event.code}`;
    case 'guessing_locked':
      return `too many wrong codes: none is accepted until ${timeOf(event.until)}`;
    case 'access_requested': {
      const code = pairingCode === undefined ? '' : `; if you know who asks, the pairing code is ${pairingCode}`;
      return `${clientOf(event.request)} asks for ${accessOf(event.request)}${code}`;
    }
    case 'access_approved':
      return `${clientOf(event.request)} now has ${accessOf(event.request)}`;
    case 'access_refused':
      return `${clientOf(event.request)} was refused: ${refusals[event.reason]}${event.detail === undefined ? '' : `: ${event.detail}`}`;
    case 'token_issued':
      return event.isRenewed ? undefined : `${quoted(event.clientName)} has signed in`;
    case 'grant_revoked':
      return `the access of ${quoted(event.clientName)} has ended: ${revocations[event.reason]}`;
    case 'client_silent':
      return `${quoted(event.clientName)} ${silences[event.after]}`;
    case 'header_mode':
      return `a client uses the name of a header, ${named(event.clientId)}, as its client id: remove the connector there, and add it again with OAuth`;
    case 'redirect_uri_refused':
      return `${quoted(event.clientName)} was refused, its redirect URI ${named(event.uri)} cannot be used: ${event.reason}`;
    default:
      return `the client ${named(event.clientId)} was refused: ${event.reason}`;
  }
}

const refusals = {
  denied_in_browser: 'access was denied on the page',
  denied_on_terminal: 'you said no',
  no_answer_on_terminal: 'there was no answer on the terminal',
  wrong_codes: 'too many wrong codes',
  user_not_allowed: 'no --allow-user names this user',
  email_not_verified: 'the identity provider gave no verified e-mail address',
  sign_in_failed: 'the identity provider did not confirm the user',
} as const;

const revocations = {
  not_exchanged: 'it did not fetch its token within 60 s, or not as it asked; try to connect again there',
  reused: 'a code or token was used twice, so somebody else may have it',
  revoked_by_client: 'the client gave it up',
  revoked_by_owner: 'you revoked it',
  too_many_grants: 'newer clients took its place',
} as const;

const silences = {
  registration:
    'has registered, but did not ask for access within 60 s: its service may have a problem; try to connect again there',
  token:
    'has its token, but made no call within 60 s: remove the connector there and add it again; its URL must end with /mcp',
} as const;

/** `"Claude" (claude.ai, returns to claude.ai)`: the name alone proves nothing, since anybody can have it. */
export function clientOf({ clientName, publisher, redirectHost, address, user }: Requested): string {
  const from = `${address === undefined ? '' : `, from ${address}`}${user === undefined ? '' : `, user ${named(user)}`}`;
  return `${quoted(clientName)} (${publisher ?? 'name not verified'}, returns to ${shortened(redirectHost)}${from})`;
}

/** What a client asks for. */
export function accessOf({ scope, resource }: Requested): string {
  const what = scope === 'mcp' ? 'full access' : 'read-only access';
  return resource === undefined ? what : `${what} at ${resource}`;
}

function timeOf(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}
