import { createInterface } from 'node:readline/promises';

import type { Confirm } from '../expose/options.ts';

/** Asks on the terminal whether a client may have access; whatever is not `y` or `yes` is no. */
export const confirmOnTerminal: Confirm = async ({ clientName }, signal) => {
  // Not `terminal`, which would take Ctrl+C for itself.
  const terminal = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const answer = await terminal.question(`Give ${JSON.stringify(clientName)} access? [y/N] `, { signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    terminal.close();
    process.stdin.pause();
  }
};
