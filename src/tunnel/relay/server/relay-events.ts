import { systemClock, type Clock } from '../../../platform/clock.ts';
import { DropCount } from '../protocol/drop-count.ts';
import type { RejectCode } from '../protocol/protocol.ts';
import { clientNetwork, createOriginRate } from './origin-limits.ts';

/** What happened to an agent, for the operator's log. */
export type RelayEvent =
  | {
      readonly type: 'agent_connected';
      readonly name: string;
      readonly epoch: number;
      readonly urls: readonly string[];
      readonly agent: string;
      readonly address: string;
      /** Agents of this name that are online now; several are replicas. */
      readonly online: number;
    }
  | {
      readonly type: 'agent_disconnected';
      readonly name: string;
      readonly epoch: number;
      readonly reason: string;
      /** As in `agent_connected`: those that are left, or have taken over. */
      readonly online: number;
    }
  | { readonly type: 'agent_rejected'; readonly code: RejectCode; readonly message: string; readonly address: string }
  /** Something that the operator should know. */
  | { readonly type: 'warning'; readonly message: string };

/** Events per origin: as many as agents that reconnect through one proxy after a restart, then what the log of a day can hold. */
const burst = 1_000;
const perSecond = 2;

export interface LimitedEvents {
  readonly onEvent: (event: RelayEvent) => void;
  close(): void;
}

/**
 * Limits the events per origin: anybody can dial and be refused, or connect and disconnect, thousands of times a second.
 * `onDropped` gets the number of dropped events. The end of an agent is passed on if its beginning was.
 */
export function limitEvents(
  onEvent: (event: RelayEvent) => void,
  onDropped: (count: number) => void,
  clock: Clock = systemClock,
): LimitedEvents {
  const originMayPass = createOriginRate({ burst, perSecond, clock });
  const shownAgents = new Set<string>();
  const dropped = new DropCount(onDropped, clock);

  const mayPass = (address: string): boolean => originMayPass(clientNetwork(address, undefined));

  const isShown = (event: RelayEvent): boolean => {
    switch (event.type) {
      case 'agent_connected': {
        const passes = mayPass(event.address);
        if (passes) shownAgents.add(keyOf(event));
        return passes;
      }
      case 'agent_disconnected':
        return shownAgents.delete(keyOf(event));
      case 'agent_rejected':
        return mayPass(event.address);
      default:
        return true;
    }
  };

  return {
    onEvent(event) {
      if (isShown(event)) onEvent(event);
      else dropped.add();
    },
    close: () => dropped.close(),
  };
}

function keyOf({ name, epoch }: { readonly name: string; readonly epoch: number }): string {
  return `${name} ${epoch}`;
}
