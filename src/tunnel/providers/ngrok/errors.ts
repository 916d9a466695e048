import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';

/** Longest part of ngrok's own words that is shown. */
const maxShownLength = 200;

interface Refusal {
  /** The next try is refused for the same reason: the user has to do something first. */
  readonly isLasting: boolean;
  readonly says: string;
  readonly hint: string;
}

const newToken =
  'copy the token from https://dashboard.ngrok.com/get-started/your-authtoken and run ngrok config add-authtoken';
const wait = 'try again in a minute, or see https://dashboard.ngrok.com/billing for a plan with more room';

/**
 * By number, as https://ngrok.com/docs/errors lists them. What a crashed agent leaves behind at ngrok, its session (108) and
 * its endpoint (334), goes away after a while.
 */
const refusals: ReadonlyMap<string, Refusal> = new Map([
  ['4018', { isLasting: true, says: 'it wants an account and its token', hint: newToken }],
  ['105', { isLasting: true, says: 'the token does not look like one of ngrok', hint: newToken }],
  ['106', { isLasting: true, says: 'the token is of an old version of ngrok', hint: newToken }],
  ['107', { isLasting: true, says: 'the token is not valid any more', hint: newToken }],
  ['300', { isLasting: true, says: 'the token has been revoked', hint: newToken }],
  [
    '103',
    { isLasting: true, says: 'the account has been suspended', hint: 'see https://dashboard.ngrok.com for the reason' },
  ],
  [
    '121',
    {
      isLasting: true,
      says: 'this version of ngrok is too old',
      hint: 'run ngrok update, or get it again from https://ngrok.com/download',
    },
  ],
  [
    '123',
    {
      isLasting: true,
      says: "the account's mail address has not been verified",
      hint: 'verify it at https://dashboard.ngrok.com/user/settings',
    },
  ],
  [
    '313',
    {
      isLasting: true,
      says: 'the account may not choose this name',
      hint: 'omit --public-url, or give it your own domain of https://dashboard.ngrok.com/domains',
    },
  ],
  [
    '319',
    {
      isLasting: true,
      says: 'the domain is not reserved for this account',
      hint: 'reserve it at https://dashboard.ngrok.com/domains, or omit --public-url',
    },
  ],
  [
    '320',
    {
      isLasting: true,
      says: 'the domain belongs to another account',
      hint: 'give --public-url a domain of https://dashboard.ngrok.com/domains, or omit it',
    },
  ],
  [
    '108',
    {
      isLasting: false,
      says: 'the account has as many agents running as it may have',
      hint: 'end one of those at https://dashboard.ngrok.com/agents',
    },
  ],
  [
    '334',
    {
      isLasting: false,
      says: 'another agent serves this URL already',
      hint: 'end it, see https://dashboard.ngrok.com/endpoints, or use another --public-url',
    },
  ],
  ['3200', { isLasting: false, says: 'the URL is not online', hint: 'see https://dashboard.ngrok.com/endpoints' }],
  [
    '8012',
    { isLasting: false, says: 'its agent does not reach this program', hint: 'look for a firewall on this machine' },
  ],
  [
    '6024',
    {
      isLasting: false,
      says: 'browsers are shown a page of its own first',
      hint: 'clients that look like a browser send the header ngrok-skip-browser-warning: 1',
    },
  ],
  ['702', { isLasting: false, says: 'there were too many connections in a minute', hint: wait }],
  [
    '717',
    { isLasting: false, says: 'there were too many connections for a session without an account', hint: newToken },
  ],
  ['734', { isLasting: false, says: 'there were too many requests in a minute', hint: wait }],
]);

/** Those that concern single requests: the tunnel stays as it is. */
const ofRequests: ReadonlySet<string> = new Set(['3200', '8012', '6024', '702', '717', '734']);

/** The number of the first error that a text names. */
export function errorNumberIn(text: string): string | undefined {
  return /\bERR_NGROK_(\d{1,6})\b/.exec(text)?.[1];
}

export function concernsRequests(number: string): boolean {
  return ofRequests.has(number);
}

/** An error that ngrok has told of, in our words where the number is known and else in its own. */
export function ngrokError(number: string | undefined, text: string): ExposeError {
  const known = number === undefined ? undefined : refusals.get(number);
  const label = number === undefined ? '' : ` (ERR_NGROK_${number})`;
  const more = number === undefined ? [] : [`see https://ngrok.com/docs/errors/err_ngrok_${number}`];
  if (known === undefined) {
    return new ExposeError('tunnel_unavailable', `ngrok says: ${firstSentence(text)}${label}`, { hints: more });
  }
  return new ExposeError(
    known.isLasting ? 'tunnel_rejected' : 'tunnel_unavailable',
    `ngrok says: ${known.says}${label}`,
    {
      hints: [known.hint],
    },
  );
}

/** The rest often holds the token itself (ERR_NGROK_105: `Your authtoken: …`). */
export function firstSentence(text: string): string {
  const [line = ''] = text.trim().split(/[\r\n]/);
  return excerpt(line.replace(/\s*(?:your authtoken:.*|ERR_NGROK_\d+.*)$/i, ''), maxShownLength);
}
