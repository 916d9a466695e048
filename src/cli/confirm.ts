import { createInterface } from 'node:readline/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Confirm, OnApproval } from '../expose/options.ts';
import { Turns } from '../expose/turns.ts';
import { sanitize } from '../platform/text/sanitize.ts';
import { approvalQuestion } from './approval-words.ts';
import { accessOf, clientOf } from './oauth-events.ts';

/** Asks on the terminal whether a client may have access. */
export const confirmOnTerminal: Confirm = (request, signal) =>
  ask(() => [`Give ${clientOf(request)} ${accessOf(request)}? [y/N] `], signal);

/** Asks on the terminal whether a call may go to the server. */
export const approveOnTerminal: OnApproval = (call, signal) => ask(() => approvalQuestion(call), signal);

/** All questions share a terminal. */
const turns = new Turns();

/** Every answer but `y` or `yes` is no. @param lines of the question; read when it is its turn. */
async function ask(lines: () => readonly string[], signal: AbortSignal): Promise<boolean> {
  return (await turns.take(() => answerTo(lines(), signal), signal)) === true;
}

async function answerTo(lines: readonly string[], signal: AbortSignal): Promise<boolean> {
  await dropTyped(signal);
  // Not `terminal`, which would take Ctrl+C for itself.
  const terminal = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    const answer = terminal.question(lines.map(sanitize).join('\n'), { signal });
    return /^y(?:es)?$/i.test((await Promise.race([answer, closed])).trim());
  } catch {
    // The question has no answer on its line.
    process.stderr.write('\n');
    return false;
  } finally {
    terminal.close();
    process.stdin.pause();
  }
}

/** What was typed before a question is not an answer to it. */
async function dropTyped(signal: AbortSignal): Promise<void> {
  let wasTyped: boolean;
  const drop = (): void => void (wasTyped = true);
  process.stdin.on('data', drop).resume();
  do {
    wasTyped = false;
    // Between two turns of the event loop, one line is read if there is any: a terminal gives no more at once.
    await nextTurn(); // oxlint-disable-line no-await-in-loop
    await nextTurn(); // oxlint-disable-line no-await-in-loop
  } while (wasTyped && !signal.aborted);
  process.stdin.off('data', drop);
}
