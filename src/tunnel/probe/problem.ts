import type { Capabilities } from '../capabilities.ts';

/** What is wrong with the public URL, in the order in which a client would notice it. */
export type Problem =
  | { readonly kind: 'no_dns' }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'tls_error'; readonly reason: string }
  /** An intermediary rejects requests for now, which says nothing about where the URL leads. */
  | { readonly kind: 'throttled' }
  /** The far end of the tunnel responds that nothing is connected to it. */
  | { readonly kind: 'tunnel_dead'; readonly status: number }
  /** A page that a person has to click away; clients skip it with the provider's header, where there is one. */
  | { readonly kind: 'interstitial'; readonly canBeSkipped: boolean }
  | { readonly kind: 'wrong_service'; readonly status: number }
  /** Requests arrive with another Host than was sent, and are refused. */
  | { readonly kind: 'host_changed' }
  | { readonly kind: 'guard_missing'; readonly status: number }
  | { readonly kind: 'token_lost' }
  | { readonly kind: 'upstream_dead'; readonly reason: string }
  | { readonly kind: 'post_buffered' }
  | { readonly kind: 'get_buffered' };

/** Whether it may disappear without intervention. */
export function mayPass(problem: Problem): boolean {
  return isSeenFromHere(problem) || problem.kind === 'tunnel_dead' || saysNothing(problem);
}

/** Whether it shows nothing about the tunnel, so that earlier results stay valid. */
export function saysNothing({ kind }: Problem): boolean {
  return kind === 'throttled';
}

/** Whether it may be caused by the network of this machine, while the tunnel works. */
export function isSeenFromHere({ kind }: Problem): boolean {
  return kind === 'no_dns' || kind === 'unreachable';
}

/** Whether another party certainly takes part in the responses, so that nobody should send the token there. */
export function isForeign({ kind }: Problem): boolean {
  return kind === 'wrong_service' || kind === 'host_changed' || kind === 'guard_missing';
}

/** Whether no client could use the URL. */
export function isBlocking(problem: Problem): boolean {
  if (problem.kind === 'interstitial') return !problem.canBeSkipped;
  return problem.kind !== 'upstream_dead' && !isSlowing(problem);
}

/** Whether the URL works, but slowly. */
export function isSlowing({ kind }: Problem): boolean {
  return kind === 'post_buffered' || kind === 'get_buffered';
}

/** One line for the user: what is wrong, and what to do. */
export function wordsFor(
  problem: Problem,
  url: string,
  { name, interstitial }: Pick<Capabilities, 'interstitial'> & { readonly name?: string },
): string {
  const { host } = new URL(url);
  const isFront = name === 'none';
  const otherwise = isFront ? 'check the proxy in front' : 'take another --tunnel';
  switch (problem.kind) {
    case 'no_dns':
      return `${host} has no address yet: a new name can take a minute; if it lasts, check your resolver, or ${otherwise}`;
    case 'unreachable':
      return `${url} cannot be reached from here (${problem.reason}): check the network; where a router does not let you call your own public address, others may reach it all the same`;
    case 'tls_error':
      return `the certificate of ${host} is not trusted (${problem.reason}): clients will refuse it, too; for an authority of your own, set NODE_EXTRA_CA_CERTS`;
    case 'tunnel_dead':
      return isFront
        ? `${host} answers with ${problem.status}: the proxy in front does not reach this mcp-expose; let it lead to the local URL, with a fixed --port`
        : `${host} answers with ${problem.status}, the tunnel is not connected to this mcp-expose: if it lasts, start again, or use another --tunnel`;
    case 'throttled':
      return `${host} accepts no more requests for now (429): wait a little, or ${otherwise}`;
    case 'interstitial':
      return interstitial === undefined || !problem.canBeSkipped
        ? `an interstitial page is in front of ${host}: MCP clients cannot click through it; ${otherwise}`
        : `an interstitial page is in front of ${host}: clients have to send the header ${interstitial.header}: ${interstitial.value}`;
    case 'wrong_service':
      return `what answers at ${url} (${problem.status}) is not this mcp-expose: check --public-url, and the address of the name; do not send the token there`;
    case 'host_changed':
      return `${host} hands requests on under another name than its own: let it pass the Host header as it is`;
    case 'guard_missing':
      return `${url} lets in requests without a token (${problem.status}): something on the way adds a credential, remove that`;
    case 'token_lost':
      return `the Authorization header does not get through ${host}: something on the way removes it; configure it to pass, or ${otherwise}`;
    case 'upstream_dead':
      return `the way through ${host} works, but the server behind it does not: ${problem.reason}`;
    case 'post_buffered':
      return `${host} holds event streams back until they end: progress and questions of the server come late; ${otherwise}`;
    default:
      return `${host} holds back streams that answer a GET: clients are told that there is none (405), other messages of the server wait for their next call`;
  }
}

/** Reports each kind of problem once while it lasts, and that the URL works again. */
export class ProblemReporter {
  readonly #capabilities: Pick<Capabilities, 'interstitial'>;
  readonly #onWarning: (message: string) => void;
  /** Reported problems that still exist, and whether a session found them. */
  readonly #reported = new Map<Problem['kind'], { readonly problem: Problem; readonly hasEntered: boolean }>();

  constructor(capabilities: Pick<Capabilities, 'interstitial'>, onWarning: (message: string) => void) {
    this.#capabilities = capabilities;
    this.#onWarning = onWarning;
  }

  /** `hasEntered`: the check opened a session instead of only asking for the health of the servers. */
  report(url: string, problems: readonly Problem[], hasEntered: boolean): void {
    for (const problem of problems) {
      const isNew = !this.#reported.has(problem.kind);
      if (isNew) this.#onWarning(wordsFor(problem, url, this.#capabilities));
      if (hasEntered || isNew) this.#reported.set(problem.kind, { problem, hasEntered });
    }
    const over = [...this.#reported.values()].filter(
      (old) =>
        !problems.some(({ kind }) => kind === old.problem.kind) &&
        // A slow URL still works, so the end of that is not reported.
        !isSlowing(old.problem) &&
        // A healthy server may still refuse every session.
        (hasEntered || !old.hasEntered || old.problem.kind !== 'upstream_dead'),
    );
    for (const { problem } of over) this.#reported.delete(problem.kind);
    if (over.length > 0 && problems.every(isSlowing)) this.#onWarning(`${url} works again`);
  }
}
