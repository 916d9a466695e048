import { createAddressList } from '../auth/address-list.ts';
import { addressPresets } from '../auth/address-presets.ts';
import type { Guessing } from '../auth/caller-limits.ts';
import type { Denial } from '../auth/guard.ts';
import type { ToolsChange } from '../bridge/session/watched-tools.ts';
import type { RequestReport } from '../http/responses/call-report.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import { networkOf } from '../platform/net/addresses.ts';
import { RecentlyUsed } from '../platform/recently-used.ts';

const minuteMs = 60_000;

/** Requests of one caller in a minute that are not unusual. After an alert, twice as many are needed for the next one. */
export const usualRequestsPerMinute = 300;

/** Calls of one caller that are refused within a minute, for an alert. */
const refusalsPerMinute = 5;

/** With which rules refuse a call. What ends with a token is an event already, and an approval is refused by the owner himself. */
const reasonsOfRules: ReadonlySet<string | undefined> = new Set([
  'not_allowed',
  'not_read_only',
  'tools_not_listed',
  'ambiguous_request',
]);

/** Callers that are told apart, and clients and networks of each, about 100 bytes each. One that was forgotten is new again. */
const maxCallers = 1000;
const maxSeen = 100;

/** Something that the owner of the servers should look at. Names come from clients and servers. */
export type Alert =
  /** Wrong tokens. */
  | ({ readonly kind: 'guessing' } & Guessing)
  /** A credential is used from an address, or by a client, that has not used it in this run. Not the first of it. */
  | { readonly kind: 'new_address'; readonly caller: string; readonly client: string }
  | {
      readonly kind: 'new_client';
      readonly caller: string;
      readonly clientInfo: NonNullable<RequestReport['clientInfo']>;
    }
  /** More requests within a minute than usual. */
  | { readonly kind: 'burst'; readonly caller: string; readonly count: number }
  /** More requests than `--rate-limit` allows; `caller` is undefined without credentials. */
  | { readonly kind: 'rate_limited'; readonly caller: string | undefined; readonly client: string | undefined }
  /** Calls that rules do not allow; `tool` and so on are those of the last one. `caller` is undefined without credentials. */
  | ({ readonly kind: 'refusals'; readonly caller: string | undefined; readonly count: number } & Pick<
      RequestReport,
      'tool' | 'resource' | 'prompt' | 'reason'
    >)
  /** The tools of a server have changed during a session, while rules apply to them, or calls need approval. */
  | ({ readonly kind: 'tools_changed'; readonly server: string | undefined } & ToolsChange);

export interface AlertsOptions {
  /** Whether a credential is required: without one, callers are not told apart, so that nobody's clients and addresses are new. */
  readonly hasCredentials: boolean;
  /** The caller that is mcp-expose itself. */
  readonly ownCaller: string;
  readonly onAlert: (alert: Alert) => void;
  readonly clock?: Clock;
}

/** Finds what is unusual in what is reported of requests. Each kind of alert comes at most once a minute for each caller. */
export class Alerts {
  readonly #options: AlertsOptions;
  readonly #clock: Clock;
  readonly #callers: RecentlyUsed<Activity>;
  /** The caller of the last request, so that a row of requests costs no look-up. */
  #latest: Activity;
  /** When each kind of alert came last for each caller. */
  readonly #alertedAt = new RecentlyUsed<{ at: number }>(maxCallers, () => ({ at: -Infinity }));

  constructor(options: AlertsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#callers = new RecentlyUsed(maxCallers, (caller) => new Activity(caller));
    this.#latest = new Activity('');
  }

  /** A caller has sent a request. */
  began(caller: string): void {
    const activity = this.#activityOf(caller);
    const count = activity.usualRequests;
    // Only the first that is too many: this is done for every request.
    if (activity.requests.add(this.#clock.now()) !== count + 1) return;
    if (this.#alert(caller, { kind: 'burst', caller, count })) activity.usualRequests *= 2;
  }

  /** A request was answered. */
  ended(report: RequestReport): void {
    const { caller, method, session, outcome } = report;
    if (caller === this.#options.ownCaller) return;
    // A request of a modern client belongs to no session, and says itself who sends it.
    if ((method === 'initialize' || session === undefined) && outcome !== 'denied') this.#identify(report);
    const { tool, resource, prompt, reason } = report;
    if (outcome !== 'denied' || !reasonsOfRules.has(reason)) return;
    const count = this.#activityOf(caller).refusals.add(this.#clock.now());
    if (count < refusalsPerMinute) return;
    const known = this.#options.hasCredentials ? caller : undefined;
    this.#alert(caller, { kind: 'refusals', caller: known, count, tool, resource, prompt, reason });
  }

  /** A request was not let in. */
  denied({ data, caller }: Denial, client: string | undefined): void {
    if (data?.['reason'] !== 'too_many_requests') return;
    this.#alert(caller ?? client ?? '', { kind: 'rate_limited', caller, client });
  }

  /** Reported at most once a minute. */
  guessing(guessing: Guessing): void {
    this.#options.onAlert({ kind: 'guessing', ...guessing });
  }

  /** @param server its name, if there are several. */
  toolsChanged(change: ToolsChange, server: string | undefined): void {
    this.#alert(server ?? '', { kind: 'tools_changed', server, ...change });
  }

  #identify({ caller, client, clientInfo }: RequestReport): void {
    if (!this.#options.hasCredentials) return;
    const { addresses, clients } = this.#activityOf(caller);
    if (client !== undefined && addresses.isNew(client)) this.#alert(caller, { kind: 'new_address', caller, client });
    if (clientInfo !== undefined && clients.isNew(clientInfo.name))
      this.#alert(caller, { kind: 'new_client', caller, clientInfo });
  }

  #activityOf(caller: string): Activity {
    if (this.#latest.caller !== caller) this.#latest = this.#callers.at(caller);
    return this.#latest;
  }

  /** @returns whether there was no such alert for it in the last minute. */
  #alert(about: string, alert: Alert): boolean {
    const alerted = this.#alertedAt.at(`${alert.kind} ${about}`);
    const now = this.#clock.now();
    // The clock may be set back.
    if (Math.abs(now - alerted.at) < minuteMs) return false;
    alerted.at = now;
    this.#options.onAlert(alert);
    return true;
  }
}

/** What a caller has done. */
class Activity {
  readonly caller: string;
  readonly requests = new MinuteCount();
  usualRequests = usualRequestsPerMinute;
  readonly refusals = new MinuteCount();
  readonly addresses = new Seen(placeOf);
  readonly clients = new Seen((name) => name);

  constructor(caller: string) {
    this.caller = caller;
  }
}

/** Counts what happens within a minute, from the first on. */
class MinuteCount {
  #since = -Infinity;
  #count = 0;

  /** Adds one, and returns the number. @param now in milliseconds. */
  add(now: number): number {
    if (Math.abs(now - this.#since) >= minuteMs) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count;
  }
}

/** What has been seen, without the oldest if it is much. */
class Seen {
  readonly #kindOf: (what: string) => string;
  readonly #entries = new RecentlyUsed<{ isSeen: boolean }>(maxSeen, () => ({ isSeen: false }));
  /** What came last: each request of a modern client says it again. */
  #latest: string | undefined;

  /** @param kindOf what counts as the same. */
  constructor(kindOf: (what: string) => string) {
    this.#kindOf = kindOf;
  }

  /** Whether it has not been seen before, and is not the first. */
  isNew(what: string): boolean {
    if (what === this.#latest) return false;
    this.#latest = what;
    const isFirst = this.#entries.size === 0;
    const entry = this.#entries.at(this.#kindOf(what));
    const isNew = !entry.isSeen && !isFirst;
    entry.isSeen = true;
    return isNew;
  }
}

const presets = [...addressPresets.keys()].map((name) => [name, createAddressList([name])] as const);

/** Hosted clients call from any address of their range. */
function placeOf(address: string): string {
  const [preset] = presets.find(([, has]) => has(address)) ?? [];
  return preset ?? networkOf(address);
}
