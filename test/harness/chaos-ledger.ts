// What one session may be sent, message by message. Ids and progress tokens are equal in all sessions, markers are not.
import { randomBytes } from 'node:crypto';
import type { PlannedCall } from './chaos-calls.ts';
import { type JsonRpcMessage, textOf } from './json-rpc-message.ts';
import { parseJson } from './parse-json.ts';

/** One way from mcp-expose to a client: the stream of a POST with its resumptions, or one that was opened by GET. */
export interface Road {
  /** The request whose answer comes here; undefined for a stream of none, `all` for the one stream of HTTP+SSE. */
  readonly call: number | 'all' | undefined;
  /** The client has hung up: what it was sent here, it may be sent again elsewhere. */
  isDropped: boolean;
  lastEvent: number;
}

export interface LedgerOptions {
  /** Where sessions share a server, log messages are for all of them. */
  readonly hearsLogsOfOthers: boolean;
  readonly violate: (what: string) => void;
  readonly count: (what: string) => void;
  /** The server asks something on behalf of a call. */
  readonly onAsk: (id: string | number, prompt: string) => void;
  /** A call has its answer. */
  readonly onAnswer?: (id: number) => void;
}

export interface Ledger {
  /** Secret of this session; part of everything that is for it. */
  readonly marker: string;
  /** Notes a request, by whose id its progress token goes, too. */
  expect(id: number, method: string, call?: PlannedCall): void;
  isAnswered(id: number): boolean;
  /** Whether the answer is a result. */
  hasSucceeded(id: number): boolean;
  receive(json: string, road: Road, eventId?: string): void;
}

interface Expected {
  readonly method: string;
  readonly call: PlannedCall | undefined;
  progress: number;
  isAnswered: boolean;
  hasSucceeded: boolean;
}

const markers = /mk-[0-9a-f]{16}/g;

export const openRoad = (call?: Road['call']): Road => ({ call, isDropped: false, lastEvent: -1 });

export function createLedger({ hearsLogsOfOthers, violate, count, onAsk, onAnswer }: LedgerOptions): Ledger {
  const marker = `mk-${randomBytes(8).toString('hex')}`;
  const expected = new Map<unknown, Expected>();
  const asked = new Map<string, Road>();

  function takeResponse(response: JsonRpcMessage, road: Road): string | undefined {
    const { id, result, error } = response;
    // The refusal of something that could not be read, or whose id must not be answered.
    if (id === null && error !== undefined) return undefined;
    const request = expected.get(id);
    if (request === undefined || typeof id !== 'number') return 'answers what was not asked';
    if (road.call !== 'all' && road.call !== id) return `is on the stream of ${road.call ?? 'no request'}`;
    if (request.isAnswered) return 'is a second answer';
    request.isAnswered = true;
    request.hasSucceeded = error === undefined;
    onAnswer?.(id);
    if ((result === undefined) === (error === undefined)) return 'has not one of result and error';
    if (error !== undefined) return takeError(error);
    count('answered');
    const isRight = request.call === undefined || request.call.accepts(textOf(response));
    return isRight ? undefined : `is not what ${request.call?.tool ?? request.method} says`;
  }

  function takeError({ code, message, data }: NonNullable<JsonRpcMessage['error']>): string | undefined {
    const reason = typeof data === 'object' && data !== null && 'reason' in data ? String(data.reason) : message;
    count(`failed: ${code} ${reason}`);
    return code === -32_099 ? 'comes from the server of another session' : undefined;
  }

  function takeProgress({ params }: JsonRpcMessage, road: Road): string | undefined {
    const { progressToken, progress, message } = params ?? {};
    const request = expected.get(progressToken);
    if (request === undefined) return 'has a token that was not given';
    if (road.call !== 'all' && road.call !== progressToken) return `is on the stream of ${road.call ?? 'no request'}`;
    if (request.isAnswered) return 'comes after the answer';
    if (typeof progress !== 'number' || progress !== request.progress + 1) return `does not follow ${request.progress}`;
    request.progress = progress;
    count('progress');
    return message === `${marker} step ${String(progressToken)}.${progress}` ? undefined : 'is not of this call';
  }

  function takeAsk({ id, method, params }: JsonRpcMessage, road: Road): string | undefined {
    if (method !== 'sampling/createMessage' || id === undefined || id === null) return 'was not to be asked';
    const prompt = /mk-[0-9a-f]{16} ask \d+/.exec(JSON.stringify(params))?.[0] ?? '';
    const n = Number(prompt.split(' ').at(-1));
    if (prompt !== `${marker} ask ${n}` || expected.get(n)?.call?.tool !== 'ask')
      return 'is for no call of this session';
    const before = asked.get(prompt);
    asked.set(prompt, road);
    if (before !== undefined && !before.isDropped) return 'is asked twice';
    count('asked');
    onAsk(id, prompt);
    return undefined;
  }

  function takeNotification(message: JsonRpcMessage, road: Road): string | undefined {
    switch (message.method) {
      case 'notifications/progress':
        return takeProgress(message, road);
      case 'notifications/resources/updated':
        count('updated');
        return message.params?.['uri'] === `chaos://${marker}` ? undefined : 'is of no subscription of this session';
      case 'notifications/message':
        count('logged');
        return undefined;
      case 'notifications/tools/list_changed':
      case 'notifications/resources/list_changed':
        count('list changed');
        return undefined;
      case 'notifications/cancelled':
        count('ask withdrawn');
        return undefined;
      default:
        return 'is nothing that the server says';
    }
  }

  function take(json: string, road: Road, eventId: string | undefined): string | undefined {
    if (eventId !== undefined) {
      const event = Number(eventId.split('-').at(-1));
      if (!(event > road.lastEvent))
        return `comes again, or late: the last event was ${road.lastEvent}, this is ${event}`;
      road.lastEvent = event;
    }
    const message = parseJson<JsonRpcMessage>(json);
    if (message.jsonrpc !== '2.0') return 'is not JSON-RPC 2.0';
    const isForAll = hearsLogsOfOthers && message.method === 'notifications/message';
    if (!isForAll && json.match(markers)?.some((other) => other !== marker) === true) return 'is for another session';
    if (message.method === undefined) return takeResponse(message, road);
    return message.id === undefined ? takeNotification(message, road) : takeAsk(message, road);
  }

  return {
    marker,
    expect: (id, method, call) =>
      void expected.set(id, { method, call, progress: 0, isAnswered: false, hasSucceeded: false }),
    isAnswered: (id) => expected.get(id)?.isAnswered === true,
    hasSucceeded: (id) => expected.get(id)?.hasSucceeded === true,
    receive(json, road, eventId) {
      const wrong = take(json, road, eventId);
      if (wrong !== undefined) violate(`${marker} was sent a message that ${wrong}: ${json.slice(0, 500)}`);
    },
  };
}
