import { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import { memberOf } from '../../../mcp/json-rpc.ts';

/** On which Node hands out each process that it is about to start (Node.js, Diagnostics Channel). */
const processChannel = 'child_process';

/**
 * Starts a process with whatever library, and hears of its errors from the first moment on. Where there are too many open
 * files, Node makes a process without pipes and tells why with an event. execa stumbles over the missing pipes before it
 * listens, and an error event without a listener ends the whole program.
 */
export function hearingSpawnErrors<T>(start: () => T, onError: (cause: unknown) => void): T {
  const listen = (message: unknown): void => {
    const child = memberOf(message, 'process');
    if (child instanceof ChildProcess) child.on('error', onError);
  };
  subscribe(processChannel, listen);
  try {
    return start();
  } finally {
    unsubscribe(processChannel, listen);
  }
}
