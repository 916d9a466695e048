import type { Caller } from '../auth/caller.ts';
import type { Exchanges } from '../bridge/exchange/exchanges.ts';
import type { Session } from '../bridge/session/session.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import type { AnswerForm } from '../mcp/headers.ts';
import type { BodyReader } from './body.ts';
import type { PolicyOf } from './find-session.ts';
import type { HttpRequest, HttpResponse } from './message.ts';
import type { ActiveResponses } from './responses/active-responses.ts';
import type { SessionStreams } from './responses/session-streams.ts';

/** What the parts of the MCP endpoint share. */
export interface McpParts {
  readonly sessions: Sessions;
  /** Undefined if modern clients are refused, so that those of both eras open a session. */
  readonly exchanges: Exchanges | undefined;
  readonly policyOf: PolicyOf | undefined;
  readonly bodies: BodyReader;
  readonly active: ActiveResponses;
  readonly streamsOf: (session: Session) => SessionStreams;
}

/** One POST whose body has been read. */
export interface Post {
  readonly parts: McpParts;
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly caller: Caller;
  readonly form: AnswerForm;
}
