import type { Clock } from '../../platform/clock.ts';
import { memberOf, type RpcResponse } from '../../mcp/json-rpc.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { callFailure } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { isResultOf } from '../translate/input-requests.ts';
import type { InputRequest } from './input-request.ts';

/** How long the server may take to say that what was opened is done, in milliseconds; it does not have to say so. */
const completionMs = 45_000;

/** Addresses that one error may ask for, and errors in one call: a person has to open each. */
const maxUrls = 16;
const maxRounds = 10;

/** The addresses that a server wants to be opened before a call is made again. */
export interface UrlRound {
  readonly inputs: readonly InputRequest[];
  /** Whether the client does not want one of them to be opened. */
  readonly isDeclined: boolean;
  /** The server says that what this elicitation was for is done. */
  completed(id: unknown): void;
  /** Whether it has said so of all. */
  readonly isCompleted: boolean;
  /** Calls back once it has, or that takes too long. Returns what calls it off. */
  whenCompleted(callback: () => void): () => void;
  close(): void;
}

/**
 * @param round of the call, from 1.
 * @returns undefined if the error names no address; a failure if it asks for too much.
 */
export function urlRoundOf({ json }: RpcResponse, round: number, clock: Clock): UrlRound | CallFailure | undefined {
  const listed = memberOf(memberOf(json['error'], 'data'), 'elicitations');
  const elicitations = (Array.isArray(listed) ? listed : []).filter(
    (elicitation) => typeof memberOf(elicitation, 'url') === 'string',
  );
  if (elicitations.length === 0) return undefined;
  if (elicitations.length > maxUrls)
    return tooMuch(`wants ${elicitations.length} addresses to be opened at once, and ${maxUrls} are the most`);
  if (round > maxRounds) return tooMuch(`has wanted addresses to be opened more than ${maxRounds} times`);
  const open = new Set(elicitations.map((elicitation: unknown) => memberOf(elicitation, 'elicitationId')));
  let isDeclined = false;
  let onCompleted: (() => void) | undefined;
  let cancelTimeout: (() => void) | undefined;

  function finish(): void {
    cancelTimeout?.();
    const callback = onCompleted;
    onCompleted = undefined;
    callback?.();
  }

  return {
    inputs: elicitations.map((elicitation: unknown) => ({
      text: JSON.stringify({ method: 'elicitation/create', params: paramsOf(elicitation) }),
      accepts: (answer) => isResultOf('elicitation/create', answer),
      settle(answer) {
        const result: unknown = JSON.parse(answer.toString());
        if (memberOf(result, 'action') !== 'accept') isDeclined = true;
      },
      giveUp() {},
    })),
    get isDeclined() {
      return isDeclined;
    },
    completed(id) {
      open.delete(id);
      if (open.size === 0) finish();
    },
    get isCompleted() {
      return open.size === 0;
    },
    whenCompleted(callback) {
      onCompleted = callback;
      cancelTimeout = clock.after(completionMs, finish);
      return () => {
        onCompleted = undefined;
        cancelTimeout?.();
      };
    },
    close() {
      onCompleted = undefined;
      cancelTimeout?.();
    },
  };
}

function tooMuch(what: string): CallFailure {
  return callFailure('url_elicitation_required', `the server ${what}`);
}

/** Without what refers to a connection. */
function paramsOf(elicitation: unknown): Readonly<Record<string, unknown>> {
  const { elicitationId: _id, ...params } = isObject(elicitation) ? elicitation : {};
  return { ...params, mode: 'url' };
}
