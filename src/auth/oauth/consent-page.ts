import { randomBytes } from 'node:crypto';

import { toSingleLine } from '../../platform/text/sanitize.ts';
import type { AuthorizationRequest, ErrorPage } from './authorization-request.ts';
import { htmlResponse, type OAuthResponse } from './message.ts';
import { redirectHost, redirectKind, type RedirectKind } from './redirect-uris.ts';

export interface ConsentView {
  readonly request: AuthorizationRequest;
  /** The request as the form returns it, in base64url. */
  readonly sealed: string;
  /** What is shared, in words. */
  readonly sharedName: string;
  readonly asksForCode: boolean;
  readonly asksOnTerminal: boolean;
  /** Host of the identity provider at which users sign in. */
  readonly signsInAt?: string;
  /** Who signed in there; without it, the page leads there. */
  readonly user?: string;
  /** What was wrong with the last try. */
  readonly error?: string;
  readonly isReadOnlyChosen?: boolean;
}

const style = `
:root{color-scheme:light dark;--text:#1b1b1f;--muted:#54545c;--back:#fff;--edge:#74747c;--accent:#0b57d0;--on-accent:#fff;--error:#b3261e;--note:#fff3d6}
@media(prefers-color-scheme:dark){:root{--text:#ececf0;--muted:#b4b4bc;--back:#17181c;--edge:#8c8c94;--accent:#a8c7fa;--on-accent:#0a2a5e;--error:#ffb4ab;--note:#3d3010}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}
main{max-width:32rem;margin:0 auto;overflow-wrap:anywhere}
h1{font-size:1.375rem;line-height:1.3}
dt{color:var(--muted)}dd{margin:0 0 .75rem}
.host{font-size:1.375rem;font-weight:700}
.note{padding:.75rem;background:var(--note);border-left:.25rem solid var(--edge)}
fieldset{margin:1rem 0;padding:.75rem;border:1px solid var(--edge);border-radius:.25rem}
label{display:flex;gap:.5rem;padding:.25rem 0}
input[type=radio]{flex:none;width:1.125rem;height:1.125rem;margin:.1875rem 0;accent-color:var(--accent)}
b{font-weight:inherit;white-space:nowrap}
input[type=text]{width:100%;padding:.625rem;font:1.25rem monospace;letter-spacing:.1em;color:inherit;background:var(--back);border:1px solid var(--edge);border-radius:.25rem}
.error{margin:.25rem 0;color:var(--error);font-weight:700}
button{margin:1rem .5rem 0 0;padding:.625rem 1.5rem;font:inherit;color:var(--accent);background:var(--back);border:1px solid var(--accent);border-radius:.25rem;cursor:pointer}
button.allow{color:var(--on-accent);background:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
`;

export function consentPage(status: number, view: ConsentView, setCookie?: string): OAuthResponse {
  const { request, sealed, sharedName, asksForCode, asksOnTerminal, signsInAt, user } = view;
  const { clientName, publisher, redirectUri, resource } = request;
  const title = `Allow ${clientName} to use ${sharedName}?`;
  const published = publisher === undefined ? 'self-declared: any app can use this name' : escaped(publisher);
  const endpoint = resource === undefined ? '' : `<dt>MCP endpoint</dt><dd>${escaped(resource)}</dd>`;
  const signedIn = user === undefined ? '' : `<dt>You have signed in as</dt><dd>${escaped(user)}</dd>\n`;
  const signsIn = signsInAt !== undefined && user === undefined;
  const body = `<h1>${escaped(title)}</h1>
<dl>
<dt>App</dt><dd>${escaped(clientName)}</dd>
<dt>Published by</dt><dd>${published}</dd>
${endpoint}${signedIn}<dt>Your browser returns to</dt><dd class="host">${escaped(redirectHost(redirectUri))}</dd>
</dl>
${warnings[redirectKind(redirectUri)]}
<p>Allow this only if you have just started it in that app yourself.</p>
<form method="post" action="authorize">
<input type="hidden" name="request" value="${sealed}">
${signsIn ? '<p>To allow it, sign in first.</p>' : scopeChoice(view)}
${asksForCode ? codeField(view.error) : errorLine(view.error)}
${asksOnTerminal ? '<p>Then confirm it on the terminal where <b>mcp-expose</b> runs.</p>' : ''}
<button class="allow" name="decision" value="approve">${signsIn ? `Sign in with ${escaped(signsInAt)}` : 'Allow'}</button><button name="decision" value="deny" formnovalidate>Deny</button>
</form>`;
  return page(status, title, body, setCookie);
}

export function errorPage(status: number, { title, message }: Omit<ErrorPage, 'kind'>): OAuthResponse {
  return page(status, title, `<h1>${escaped(title)}</h1>\n<p>${escaped(message)}</p>`);
}

const warnings: Readonly<Record<RedirectKind, string>> = {
  web: '',
  loopback:
    '<p class="note"><strong>Note:</strong> the app runs on the computer of this browser. Any program there can use this name.</p>',
  app: '<p class="note"><strong>Note:</strong> your system opens an app for this address, and cannot tell which app asked.</p>',
};

function scopeChoice({ request, isReadOnlyChosen = request.scope === 'mcp:read' }: ConsentView): string {
  const readOnly = 'Read only: nothing that makes changes';
  if (request.scope === 'mcp:read') return `<p>It asks for: ${readOnly}</p>`;
  const [all, some] = isReadOnlyChosen ? ['', ' checked'] : [' checked', ''];
  return `<fieldset><legend>What it may do</legend>
<label><input type="radio" name="scope" value="mcp"${all}> Everything that is shared</label>
<label><input type="radio" name="scope" value="mcp:read"${some}> ${readOnly}</label>
</fieldset>`;
}

function codeField(error: string | undefined): string {
  const describedBy = error === undefined ? 'hint' : 'error hint';
  return `<label for="code">Pairing code</label>
${errorLine(error)}
<input type="text" id="code" name="code" required maxlength="32" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus aria-describedby="${describedBy}"${error === undefined ? '' : ' aria-invalid="true"'}>
<p id="hint">It is shown on the terminal where <b>mcp-expose</b> runs, as <b>ABCD-EFGH</b>.</p>`;
}

function errorLine(error: string | undefined): string {
  return error === undefined ? '' : `<p class="error" id="error" role="alert">${escaped(error)}</p>`;
}

/** A page without scripts. No `form-action`: browsers apply it to the redirect to the client, too. */
function page(status: number, title: string, main: string, setCookie?: string): OAuthResponse {
  const nonce = randomBytes(16).toString('base64url');
  const body = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title><style nonce="${nonce}">${style}</style></head>
<body><main>
${main}
</main></body>
</html>
`;
  return htmlResponse(status, body, {
    'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'`,
    'x-frame-options': 'DENY',
    // Not `no-referrer`, with which browsers send `Origin: null` with the form (Fetch §3.2).
    'referrer-policy': 'same-origin',
    ...(setCookie === undefined ? {} : { 'set-cookie': setCookie }),
  });
}

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** Text from outside for HTML, as an element or an attribute in quotes; without control and bidi characters. */
function escaped(text: string): string {
  return toSingleLine(text).replaceAll(/[&<>"']/g, (character) => entities.get(character) ?? '');
}
