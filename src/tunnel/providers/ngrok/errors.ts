import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';

interface Refusal {
  /** The next attempt would be refused for the same reason: the user has to act first. */
  readonly isLasting: boolean;
  readonly says: string;
  readonly hint: string;
}

const newToken =
  'copy the token from https://dashboard.ngrok.com/get-started/your-authtoken and run ngrok config add-authtoken';
const wait = 'try again in a minute, or see https://dashboard.ngrok.com/billing for a plan with more room';

const lasting = (says: string, hint: string): Refusal => ({ isLasting: true, says, hint });
const passing = (says: string, hint: string): Refusal => ({ isLasting: false, says, hint });

/**
 * By number, as in https://ngrok.com/docs/errors. What a crashed agent leaves at ngrok, its session (108) and its endpoint
 * (334), disappears after a while.
 */
const refusals: ReadonlyMap<string, Refusal> = new Map(
  Object.entries({
    4018: lasting('it wants an account and its token', newToken),
    105: lasting('the token does not look like one of ngrok', newToken),
    106: lasting('the token is of an old version of ngrok', newToken),
    107: lasting('the token is not valid any more', newToken),
    300: lasting('the token has been revoked', newToken),
    103: lasting('the account has been suspended', 'see https://dashboard.ngrok.com for the reason'),
    121: lasting(
      'this version of ngrok is too old',
      'run ngrok update, or get it again from https://ngrok.com/download',
    ),
    123: lasting(
      "the account's mail address has not been verified",
      'verify it at https://dashboard.ngrok.com/user/settings',
    ),
    313: lasting(
      'the account may not choose this name',
      'omit --public-url, or give it your own domain of https://dashboard.ngrok.com/domains',
    ),
    319: lasting(
      'the domain is not reserved for this account',
      'reserve it at https://dashboard.ngrok.com/domains, or omit --public-url',
    ),
    320: lasting(
      'the domain belongs to another account',
      'give --public-url a domain of https://dashboard.ngrok.com/domains, or omit it',
    ),
    108: passing(
      'the account has as many agents running as it may have',
      'end one of those at https://dashboard.ngrok.com/agents',
    ),
    334: passing(
      'another agent serves this URL already',
      'end it, see https://dashboard.ngrok.com/endpoints, or use another --public-url',
    ),
    3200: passing('the URL is not online', 'see https://dashboard.ngrok.com/endpoints'),
    8012: passing('its agent does not reach this program', 'look for a firewall on this machine'),
    6024: passing(
      'browsers are shown a page of its own first',
      'clients that look like a browser send the header ngrok-skip-browser-warning: 1',
    ),
    702: passing('there were too many connections in a minute', wait),
    717: passing('there were too many connections for a session without an account', newToken),
    734: passing('there were too many requests in a minute', wait),
  }),
);

/** Errors of single requests, which do not affect the tunnel. */
const ofRequests: ReadonlySet<string> = new Set(['3200', '8012', '6024', '702', '717', '734']);

export function errorNumberIn(text: string): string | undefined {
  return /\bERR_NGROK_(\d{1,6})\b/.exec(text)?.[1];
}

export function concernsRequests(number: string): boolean {
  return ofRequests.has(number);
}

/** An error of ngrok, in our words when its number is known, otherwise in its own. */
export function ngrokError(number: string | undefined, text: string): ExposeError {
  const known = number === undefined ? undefined : refusals.get(number);
  const label = number === undefined ? '' : ` (ERR_NGROK_${number})`;
  const more = number === undefined ? [] : [`see https://ngrok.com/docs/errors/err_ngrok_${number}`];
  if (known === undefined) {
    return new ExposeError('tunnel_unavailable', `ngrok says: ${firstSentence(text)}${label}`, { hints: more });
  }
  const code = known.isLasting ? 'tunnel_rejected' : 'tunnel_unavailable';
  return new ExposeError(code, `ngrok says: ${known.says}${label}`, { hints: [known.hint] });
}

/** The rest often contains the token (ERR_NGROK_105: `Your authtoken: …`). */
export function firstSentence(text: string): string {
  const [line = ''] = text.trim().split(/[\r\n]/);
  return excerpt(line.replace(/\s*(?:your authtoken:.*|ERR_NGROK_\d+.*)$/i, ''));
}
