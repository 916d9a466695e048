import type { Denial } from '../auth/guard.ts';
import type { OAuthEvent } from '../auth/oauth/events.ts';
import type { RequestBodies, RequestReport, SessionReport } from '../http/responses/call-report.ts';
import { createTokenBucket } from '../platform/token-bucket.ts';
import { AuditFile } from './audit-file.ts';
import type { ExposeEvent } from './options.ts';

/** Lines about refused requests: anyone can cause them, and a disk is finite. The rest is counted. */
const refusalLines = { burst: 100, perSecond: 10 };

/** @throws ExposeError `usage` if the file cannot be used. */
export async function openAudit(path: string, warn: (message: string) => void): Promise<Audit> {
  return new Audit(await AuditFile.open(path, warn));
}

/**
 * What happens during a run, for its owner to read later: who called what, with which outcome, and who was let in. It has
 * names and sizes, on request arguments and results without secrets, and never credentials, codes, session ids or values of headers.
 */
export class Audit {
  readonly #file: AuditFile;
  readonly #refusals = createTokenBucket(refusalLines);

  constructor(file: AuditFile) {
    this.#file = file;
  }

  /** A request has been answered. @param server its name, if there are several. @param bodies without secrets. */
  call(report: RequestReport, server: string | undefined, bodies?: RequestBodies): void {
    this.#file.write('call', server === undefined && bodies === undefined ? report : { server, ...report, ...bodies });
  }

  session(report: SessionReport, server: string | undefined): void {
    this.#file.write('session', { server, ...report });
  }

  /** A request was not let in. */
  denied(denial: Denial, client: string | undefined): void {
    if (!this.#refusals.take(1)) this.#file.drop();
    else
      this.#file.write('admission', {
        outcome: 'denied',
        reason: reasonOf(denial),
        caller: denial.caller,
        client,
      });
  }

  /** A change of a token, or of a client that signs in, a decision about a call, or an alert. */
  event(event: ExposeEvent): void {
    if (event.type === 'token') this.#file.write('token', { change: event.change, caller: event.name });
    if (event.type === 'oauth') this.#oauth(event.event);
    if (event.type === 'alert') this.#file.write('alert', event.alert);
    if (event.type === 'approval') {
      const { type: _type, ...report } = event;
      this.#file.write('approval', report);
    }
  }

  /** Begins a new file if the old one was moved. */
  reopen(): void {
    this.#file.reopen();
  }

  /** Writes what is left. */
  close(): Promise<void> {
    return this.#file.close();
  }

  #oauth(event: OAuthEvent): void {
    switch (event.kind) {
      case 'access_requested':
      case 'access_approved':
      case 'access_refused': {
        const { clientName, user, publisher, redirectHost, scope, address } = event.request;
        const change = event.kind.slice('access_'.length);
        const reason = 'reason' in event ? event.reason : undefined;
        const caller = event.kind === 'access_approved' ? event.clientName : clientName;
        const about = { caller, user, publisher, redirectHost, scope, client: address };
        this.#file.write('oauth', { change, reason, ...about });
        return;
      }
      case 'grant_revoked':
        this.#file.write('oauth', { change: 'revoked', reason: event.reason, caller: event.clientName });
        return;
      case 'guessing_locked':
        this.#file.write('oauth', { change: 'locked', reason: 'wrong_codes' });
        return;
      default:
    }
  }
}

/** The reason for programs. That for people may quote a header. */
function reasonOf({ data, status, challenge }: Denial): string {
  if (data?.['reason'] !== undefined) return data['reason'];
  if (status === 400) return 'credential_malformed';
  return challenge?.includes('error=') === true ? 'token_unknown' : 'token_missing';
}
