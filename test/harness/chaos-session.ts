// What the clients of both transports have in common: the words of a session, and what is judged of each answer.
import type { Storm } from './chaos-storm.ts';
import { answerTo, planCall, type PlannedCall } from './chaos-calls.ts';
import { createLedger, type Ledger } from './chaos-ledger.ts';
import { openWire, type Wire, type WireOutcome, type WireRequest } from './chaos-wire.ts';
import { within } from './eventually.ts';
import { initializeRequest } from './raw-mcp.ts';
import type { Random } from './random.ts';

/** A call takes half a second, but it waits while a server is tried again, which goes on for a minute at most. */
const boundMs = 75_000;

/** Bodies that no server can take, and the status that each deserves. */
export const malformed: readonly { readonly body: string; readonly statuses: readonly number[] }[] = [
  { body: '{"jsonrpc":"2.0","id":1,"method":', statuses: [400] },
  { body: 'call', statuses: [400] },
  { body: '[]', statuses: [400] },
  { body: '7', statuses: [400] },
  { body: '{"id":1,"method":"ping"}', statuses: [400] },
  { body: '{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', statuses: [400] },
  { body: '{"jsonrpc":"2.0","id":1}', statuses: [400] },
  { body: '{"jsonrpc":"2.0","id":1,"method":7}', statuses: [400] },
  { body: `${'['.repeat(5000)}${']'.repeat(5000)}`, statuses: [400] },
];

export interface ChaosClient {
  /** The URL of /mcp. */
  readonly url: string;
  readonly token: string;
  readonly hearsLogsOfOthers: boolean;
  readonly storm: Storm;
  readonly random: Random;
}

/** The words of one session. */
export interface ChaosSession {
  readonly ledger: Ledger;
  readonly initialize: string;
  /** Plans a call and notes that it is made; `body` is what to POST. */
  plan(): { readonly id: number; readonly call: PlannedCall; readonly body: string };
  /** Notes that another request is made. */
  request(method: string, params: object): { readonly id: number; readonly body: string };
  /** Headers for what goes to this session. */
  headers(more?: readonly (readonly [string, string])[]): [string, string][];
  /** POSTs a notification, or the answer to an ask; resolves with the status. */
  tell(body: object): Promise<number | undefined>;
  /** Waits for it, however it ends; what takes too long is hung up, and a violation. */
  bounded(what: string, wire: Wire): Promise<WireOutcome>;
  /** Answers to asks that are on their way. */
  settled(): Promise<void>;
}

export interface ChaosSessionOptions {
  readonly client: ChaosClient;
  readonly revision: string;
  /** Sends what belongs to this session. */
  readonly post: (body: string, more?: Partial<WireRequest>) => Wire;
  readonly headers: () => readonly (readonly [string, string])[];
  readonly onAnswer?: (id: number) => void;
}

export function createChaosSession({ client, revision, post, headers, onAnswer }: ChaosSessionOptions): ChaosSession {
  const { storm, random, token, hearsLogsOfOthers } = client;
  const underWay = new Set<Promise<unknown>>();
  let lastId = 1;
  const ledger = createLedger({
    hearsLogsOfOthers,
    violate: storm.violate,
    count: storm.count,
    ...(onAnswer === undefined ? {} : { onAnswer }),
    onAsk(id, prompt) {
      if (random.below(10) === 0) return; // a client that does not care
      const answering = answer(id, prompt).finally(() => underWay.delete(answering));
      underWay.add(answering);
    },
  });
  ledger.expect(1, 'initialize');

  async function answer(id: string | number, prompt: string): Promise<void> {
    await storm.pause(random.below(60));
    const content = { type: 'text', text: answerTo(prompt) };
    const status = await tell({ jsonrpc: '2.0', id, result: { role: 'assistant', model: 'm', content } });
    if (status !== 202 && status !== 404) storm.violate(`the answer to ${prompt} got ${status}`);
  }

  async function tell(message: object): Promise<number | undefined> {
    return (await bounded('what was told', post(JSON.stringify(message)))).status;
  }

  async function bounded(what: string, wire: Wire): Promise<WireOutcome> {
    try {
      return await within(boundMs, what, wire.outcome);
    } catch {
      storm.violate(`${ledger.marker}: ${what} did not end within ${boundMs / 1000} s`);
      wire.hangUp();
      return wire.outcome;
    }
  }

  function request(method: string, params: object) {
    const id = ++lastId;
    ledger.expect(id, method);
    return { id, body: JSON.stringify({ jsonrpc: '2.0', id, method, params }) };
  }

  return {
    ledger,
    initialize: initializeRequest(revision, { sampling: {} }),
    plan() {
      const id = ++lastId;
      const call = planCall(random, ledger.marker, id);
      ledger.expect(id, 'tools/call', call);
      const params = { name: call.tool, arguments: call.args, _meta: { progressToken: id } };
      return { id, call, body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }) };
    },
    request,
    headers: (more = []) => [
      ['Authorization', `Bearer ${token}`],
      ['Accept', 'application/json, text/event-stream'],
      ['Content-Type', 'application/json'],
      ...[...headers(), ...more].map(([name, value]): [string, string] => [name, value]),
    ],
    tell,
    bounded,
    async settled() {
      await Promise.all(underWay);
    },
  };
}

/** POSTs what cannot be served, and a body that is cut off. */
export async function misbehave(session: ChaosSession, client: ChaosClient, url: string): Promise<void> {
  const { random, storm } = client;
  const { body, statuses } = random.pick(malformed);
  const request = { url, method: 'POST', headers: session.headers(), body };
  if (random.below(3) === 0) {
    const wire = openWire({ ...request, missing: 1000 });
    await storm.pause(random.below(20));
    wire.hangUp();
    await wire.outcome;
    storm.count('body cut off');
    return;
  }
  const { status } = await session.bounded('a malformed body', openWire(request));
  storm.count('malformed');
  if (status !== 404 && !statuses.includes(status ?? 0)) storm.violate(`the body ${body.slice(0, 60)} got ${status}`);
}
