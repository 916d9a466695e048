import type { Clock } from '../../platform/clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { SharedServerRequests } from './server-requests.ts';
import { TaskOwners } from './task-owners.ts';
import { SharedHandshake } from './handshake.ts';
import { SharedIds } from './ids.ts';
import { SharedLevels } from './levels.ts';
import type { ClientSession } from './client-session.ts';
import { SharedSubscriptions } from './subscriptions.ts';

/** Everything that is known of the sessions that share one connection. */
export class SharedState {
  readonly members: Set<ClientSession> = new Set();
  readonly ids: SharedIds<ClientSession>;
  readonly serverRequests: SharedServerRequests<ClientSession> = new SharedServerRequests();
  readonly taskOwners: TaskOwners<ClientSession> = new TaskOwners();
  readonly handshake: SharedHandshake<ClientSession> = new SharedHandshake();
  readonly levels: SharedLevels<ClientSession> = new SharedLevels();
  readonly subscriptions: SharedSubscriptions<ClientSession> = new SharedSubscriptions();

  constructor(clock: Clock) {
    this.ids = new SharedIds(clock);
  }
}

/** What those who move messages between the sessions and the server have in common. */
export interface SharedContext {
  readonly state: SharedState;
  /** To the server; false when it does not take it. */
  readonly send: (message: RpcMessage) => boolean;
  /** Each kind of warning is given once. */
  readonly warnOnce: (kind: string, message: string) => void;
}
