import type { Clock } from '../../platform/clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { createSharedServerRequests, type SharedServerRequests } from './server-requests.ts';
import { createTaskOwners, type TaskOwners } from './task-owners.ts';
import { createSharedHandshake, type SharedHandshake } from './handshake.ts';
import { createSharedIds, type SharedIds } from './ids.ts';
import { createSharedLevels, type SharedLevels } from './levels.ts';
import type { ClientSession } from './client-session.ts';
import { createSharedSubscriptions, type SharedSubscriptions } from './subscriptions.ts';

/** Everything that is known of the sessions that share one connection. */
export interface SharedState {
  readonly members: Set<ClientSession>;
  readonly ids: SharedIds<ClientSession>;
  readonly serverRequests: SharedServerRequests<ClientSession>;
  readonly taskOwners: TaskOwners<ClientSession>;
  readonly handshake: SharedHandshake<ClientSession>;
  readonly levels: SharedLevels<ClientSession>;
  readonly subscriptions: SharedSubscriptions<ClientSession>;
}

/** What those who move messages between the sessions and the server have in common. */
export interface SharedContext {
  readonly state: SharedState;
  /** To the server; false when it does not take it. */
  readonly send: (message: RpcMessage) => boolean;
  /** Each kind of warning is given once. */
  readonly warnOnce: (kind: string, message: string) => void;
}

export function createSharedState(clock: Clock): SharedState {
  return {
    members: new Set(),
    ids: createSharedIds(clock),
    serverRequests: createSharedServerRequests(),
    taskOwners: createTaskOwners(),
    handshake: createSharedHandshake(),
    levels: createSharedLevels(),
    subscriptions: createSharedSubscriptions(),
  };
}
