import type { Guessing } from '../auth/caller-limits.ts';
import type { Denial } from '../auth/guard.ts';
import type { ToolsChange } from '../bridge/session/watched-tools.ts';
import type { ReportReaders } from '../http/responses/call-report.ts';
import { ownCaller } from './access.ts';
import { Alerts } from './alerts.ts';
import type { Audit } from './audit.ts';
import type { ExposeEvent } from './options.ts';

export interface ReportsOptions {
  readonly audit: Audit | undefined;
  /** Whether each request is an event. */
  readonly reportsRequests: boolean;
  /** Reads arguments and results for the audit file; undefined if it has none. */
  readonly readBody: ((body: unknown) => unknown) | undefined;
  readonly hasCredentials: boolean;
  readonly onEvent: (event: ExposeEvent) => void;
}

/** Passes on what is reported of requests to those who read it: events, the audit file and alerts. */
export class Reports {
  readonly #options: ReportsOptions;
  readonly #alerts: Alerts;
  /** While the public URL is probed, the probe's session and requests are no events. */
  isProbing = false;

  constructor(options: ReportsOptions) {
    const { hasCredentials, onEvent } = options;
    this.#options = options;
    this.#alerts = new Alerts({
      hasCredentials,
      ownCaller,
      onAlert: (alert) => onEvent({ type: 'alert', alert }),
    });
  }

  /** Whether every request is reported, with the address of its caller. */
  get hasAll(): boolean {
    return this.#options.reportsRequests || this.#options.audit !== undefined;
  }

  /** @param server its name, if there are several. */
  readersFor(server: string | undefined): ReportReaders & {
    readonly onSessions: (open: number) => void;
    readonly onToolsChange: (change: ToolsChange) => void;
  } {
    const { audit, readBody, reportsRequests, onEvent } = this.#options;
    const named = server === undefined ? {} : { server };
    return {
      isSelective: !this.hasAll,
      readBody,
      onBegin: (caller) => this.#alerts.began(caller),
      onRequest: (request, bodies) => {
        if (reportsRequests && !this.isProbing) onEvent({ type: 'request', ...request, ...named });
        audit?.call(request, server, bodies);
        this.#alerts.ended(request);
      },
      onSession: audit && ((session) => audit.session(session, server)),
      onSessions: (open) => {
        if (!this.isProbing) onEvent({ type: 'sessions', open, ...named });
      },
      onToolsChange: (change) => this.#alerts.toolsChanged(change, server),
    };
  }

  /** A request was not let in. */
  readonly denied = (denial: Denial, address: string | undefined): void => {
    this.#options.audit?.denied(denial, address);
    this.#alerts.denied(denial, address);
  };

  readonly guessing = (guessing: Guessing): void => this.#alerts.guessing(guessing);
}
