import type { Clock } from '../../clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { createSharedAsks, type SharedAsks } from './asks.ts';
import { createSharedBelongings, type SharedBelongings } from './belongings.ts';
import { createSharedHandshake, type SharedHandshake } from './handshake.ts';
import { createSharedIds, type SharedIds } from './ids.ts';
import { createSharedLevels, type SharedLevels } from './levels.ts';
import type { Member } from './member.ts';
import { createSharedSubscriptions, type SharedSubscriptions } from './subscriptions.ts';

/** Everything that is known of the sessions that share one connection. */
export interface SharedBooks {
  readonly members: Set<Member>;
  readonly ids: SharedIds<Member>;
  readonly asks: SharedAsks<Member>;
  readonly belongings: SharedBelongings<Member>;
  readonly handshake: SharedHandshake<Member>;
  readonly levels: SharedLevels<Member>;
  readonly subscriptions: SharedSubscriptions<Member>;
}

/** What those who move messages between the members and the server have in common. */
export interface SharedRoad {
  readonly books: SharedBooks;
  /** To the server; false when it does not take it. */
  readonly send: (message: RpcMessage) => boolean;
  /** Each kind of warning is given once. */
  readonly warnOnce: (kind: string, message: string) => void;
}

export function createSharedBooks(clock: Clock): SharedBooks {
  return {
    members: new Set(),
    ids: createSharedIds(clock),
    asks: createSharedAsks(),
    belongings: createSharedBelongings(),
    handshake: createSharedHandshake(),
    levels: createSharedLevels(),
    subscriptions: createSharedSubscriptions(),
  };
}
