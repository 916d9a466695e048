import { createInterface } from 'node:readline/promises';

import type { Confirm } from '../expose/options.ts';
import { sanitize } from '../platform/text/sanitize.ts';
import { accessOf, clientOf } from './oauth-events.ts';

/** Asks on the terminal whether a client may have access; every answer but `y` or `yes` is no. */
export const confirmOnTerminal: Confirm = async (request, signal) => {
  // Not `terminal`, which would take Ctrl+C for itself.
  const terminal = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const question = `Give ${clientOf(request)} ${accessOf(request)}? [y/N] `;
    const answer = await terminal.question(sanitize(question), { signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    terminal.close();
    process.stdin.pause();
  }
};
