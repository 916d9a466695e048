import { createInterface } from 'node:readline/promises';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { ReadStream } from 'node:tty';

import type { Confirm, OnApproval } from '../expose/options.ts';
import { Turns } from '../expose/turns.ts';
import { approvalQuestion } from './approval-words.ts';
import { accessOf, clientOf } from './oauth-events.ts';
import type { Output } from './output.ts';

/**
 * How long nothing is asked after a question that ended without an answer, in milliseconds: whoever was about to answer it
 * sees that it is over, and what is typed meanwhile answers nothing.
 */
const restMs = 1000;

const standardInput = 0;
const ctrlC = 3;

/** Asks on the terminal whether a client may have access: by a word that answers no question about a call. */
export function confirmOnTerminal(output: Output): Confirm {
  return (request, signal) =>
    ask(() => output.question([`Give ${clientOf(request)} ${accessOf(request)}? [yes/N] `]), /^yes$/i, signal);
}

/** Asks on the terminal whether a call may go to the server. */
export function approveOnTerminal(output: Output): OnApproval {
  return (call, signal) => ask(() => output.question(approvalQuestion(call)), /^y(?:es)?$/i, signal);
}

/** Shows a question when it is its turn. @returns as `Output.question`. */
type Show = () => () => void;

/** All questions share a terminal. */
const turns = new Turns();

/** No question is asked before, by `performance.now()`. */
let restEndsAt = 0;

/** @param yes every other answer is no. */
async function ask(show: Show, yes: RegExp, signal: AbortSignal): Promise<boolean> {
  const answer = await turns.take(() => answerTo(show, signal), signal);
  return answer !== undefined && yes.test(answer);
}

/** @returns undefined if the question ended without an answer. */
async function answerTo(show: Show, signal: AbortSignal): Promise<string | undefined> {
  // Of its own, since Ctrl+D ends a stream for good.
  const input = new ReadStream(standardInput);
  try {
    await delay(Math.max(0, restEndsAt - performance.now()), undefined, { signal });
    await dropTyped(input, signal);
    signal.throwIfAborted();
    return await lineAfter(show, input, signal);
  } catch {
    return undefined;
  } finally {
    input.destroy();
  }
}

async function lineAfter(show: Show, input: ReadStream, signal: AbortSignal): Promise<string> {
  // Not `terminal`, which would take Ctrl+C for itself.
  const terminal = createInterface({ input, terminal: false });
  const end = show();
  const giveUp = (): void => {
    end();
    // The question has no answer on its line.
    process.stderr.write('\n');
  };
  // At once: what is printed about it comes after the question.
  signal.addEventListener('abort', giveUp, { once: true });
  const closed = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new Error('the input has ended')));
    input.once('error', reject);
  });
  try {
    return (await Promise.race([terminal.question('', { signal }), closed])).trim();
  } catch (error) {
    restEndsAt = performance.now() + restMs;
    if (!signal.aborted) giveUp();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
    end();
    closed.catch(() => {});
    terminal.close();
  }
}

/** What was typed before a question is not an answer to it, also if Enter was not pressed yet: so not by line. */
async function dropTyped(input: ReadStream, signal: AbortSignal): Promise<void> {
  let wasTyped: boolean;
  const drop = (typed: Buffer): void => {
    wasTyped = true;
    if (typed.includes(ctrlC)) process.emit('SIGINT', 'SIGINT');
  };
  input.setRawMode(true).on('data', drop).resume();
  try {
    do {
      wasTyped = false;
      // Between two turns of the event loop, what there is is read.
      await nextTurn(); // oxlint-disable-line no-await-in-loop
      await nextTurn(); // oxlint-disable-line no-await-in-loop
    } while (wasTyped && !signal.aborted);
  } finally {
    input.off('data', drop).setRawMode(false);
  }
}
