// Preloaded into a measured process (`node --expose-gc --import`), which is otherwise left as it is: on SIGUSR2 it
// collects all garbage and says so with a byte on file descriptor 3. Without it, resident memory would tell how long ago
// the last collection was rather than what is held.
import { writeSync } from 'node:fs';

/** Each in a turn of its own: what was looked at in a turn is held until its end, and finalizers run between turns. */
const collections = 2;

process.on('SIGUSR2', () => collect(collections));

/** @param {number} left */
function collect(left) {
  setImmediate(() => {
    globalThis.gc?.();
    if (left > 1) collect(left - 1);
    else writeSync(3, '.');
  });
}
