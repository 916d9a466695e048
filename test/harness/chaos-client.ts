// A client of Streamable HTTP in a storm: it calls, hangs up, comes back, cancels, ends sessions and forgets them.
import { createChaosSession, misbehave, type ChaosClient, type ChaosSession } from './chaos-session.ts';
import { openRoad, type Road } from './chaos-ledger.ts';
import { openWire, type Wire, type WireRequest } from './chaos-wire.ts';

/** How often a client comes back for one answer. */
const maxResumptions = 3;

const revisions = ['2025-03-26', '2025-06-18', '2025-11-25', '2025-11-25'] as const;

interface StreamableSession extends ChaosSession {
  readonly id: string;
  /** It has ended: a 404 told so. */
  isLost(): boolean;
  lose(): void;
  get(road: Road, lastEventId: string | undefined): Wire;
  post(body: string, more?: Partial<WireRequest>): Wire;
}

/** Lives through the storm, one session after the other. */
export async function runStreamableClient(client: ChaosClient): Promise<void> {
  const { storm } = client;
  while (!storm.signal.aborted) {
    const session = await openSession(client); // oxlint-disable-line no-await-in-loop -- one after the other
    if (session === undefined) await storm.pause(100); // oxlint-disable-line no-await-in-loop
    else await useSession(client, session); // oxlint-disable-line no-await-in-loop
  }
}

async function openSession(client: ChaosClient): Promise<StreamableSession | undefined> {
  const { url, storm, random } = client;
  const revision = random.pick(revisions);
  const own: { id?: string; isLost: boolean } = { isLost: false };
  const headers = (): [string, string][] =>
    own.id === undefined
      ? []
      : [
          ['Mcp-Session-Id', own.id],
          ['Mcp-Protocol-Version', revision],
        ];
  const post = (body: string, more: Partial<WireRequest> = {}): Wire =>
    openWire({ url, method: 'POST', headers: session.headers(), body, ...more });
  const session = createChaosSession({ client, revision, post, headers });
  const road = openRoad(1);
  const wire = post(session.initialize, { onMessage: (json) => session.ledger.receive(json, road) });
  if (random.below(25) === 0) {
    wire.hangUp();
    await wire.outcome;
    storm.count('initialize dropped');
    return undefined;
  }
  const { status, headers: head, isComplete } = await session.bounded('initialize', wire);
  const id = head['mcp-session-id'];
  if (status === 503) storm.count('session refused');
  else if (status !== 200 || !isComplete || !session.ledger.isAnswered(1)) {
    storm.violate(`initialize got ${status}, ${isComplete ? 'whole' : 'cut off'}, and was not answered`);
  } else if (typeof id !== 'string') storm.count('initialize failed');
  if (typeof id !== 'string') return undefined;
  own.id = id;
  storm.abandoned.add(id);
  storm.count('session opened');
  await session.tell({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return {
    ...session,
    id,
    isLost: () => own.isLost,
    lose() {
      if (!own.isLost) storm.count('session lost');
      own.isLost = true;
    },
    post,
    get: (to, lastEventId) =>
      openWire({
        url,
        method: 'GET',
        headers: session.headers(lastEventId === undefined ? [] : [['Last-Event-ID', lastEventId]]),
        onMessage: (json, eventId) => session.ledger.receive(json, to, eventId),
      }),
  };
}

async function useSession(client: ChaosClient, session: StreamableSession): Promise<void> {
  const { storm, random } = client;
  let listening = random.below(2) === 0 ? listen(session, undefined) : undefined;
  if (random.below(2) === 0) await subscribe(client, session);
  for (let rounds = 3 + random.below(40); rounds > 0 && !storm.signal.aborted && !session.isLost(); rounds--) {
    const deed = random.below(10);
    if (deed === 0) {
      await misbehave(session, client, client.url); // oxlint-disable-line no-await-in-loop -- one after the other
    } else if (deed === 1) {
      listening?.hangUp();
      listening = listen(session, random.below(2) === 0 ? listening?.lastEventId() : undefined);
    } else {
      const calls = Array.from({ length: 1 + random.below(5) }, () => makeCall(client, session));
      await Promise.all(calls); // oxlint-disable-line no-await-in-loop
    }
    await storm.pause(random.below(30)); // oxlint-disable-line no-await-in-loop
  }
  await leave(client, session);
  listening?.hangUp();
  await listening?.outcome;
  await session.settled();
}

function listen(session: StreamableSession, lastEventId: string | undefined): Wire {
  const road = openRoad();
  const wire = session.get(road, lastEventId);
  return {
    ...wire,
    hangUp() {
      road.isDropped = true;
      wire.hangUp();
    },
  };
}

async function subscribe(client: ChaosClient, session: StreamableSession): Promise<void> {
  const { id, body } = session.request('resources/subscribe', { uri: `chaos://${session.ledger.marker}` });
  const wire = session.post(body, { onMessage: receiver(session, openRoad(id)) });
  await settle(client, session, { id, wire, what: 'resources/subscribe' });
}

/** Says good-bye, with calls under way or without, or does not. */
async function leave(client: ChaosClient, session: StreamableSession): Promise<void> {
  const { storm, random } = client;
  const manner = random.below(6);
  if (manner === 0 && !session.isLost()) {
    storm.count('session abandoned');
    return;
  }
  const calls = manner === 1 ? [makeCall(client, session), makeCall(client, session)] : [];
  await storm.pause(random.below(40));
  const ending = openWire({ url: client.url, method: 'DELETE', headers: session.headers() });
  const { status } = await session.bounded('DELETE', ending);
  if (status === 204) storm.count('session ended');
  else if (status !== 404) storm.violate(`DELETE got ${status}`);
  storm.abandoned.delete(session.id);
  await Promise.all(calls);
}

const receiver =
  ({ ledger }: StreamableSession, road: Road) =>
  (json: string, eventId?: string): void =>
    ledger.receive(json, road, eventId);

async function makeCall(client: ChaosClient, session: StreamableSession): Promise<void> {
  const { storm, random } = client;
  const { id, call, body } = session.plan();
  const road = openRoad(id);
  const mishap = random.below(9);
  const asleepMs = mishap === 2 ? random.below(1500) : 0;
  const wire = session.post(body, { onMessage: receiver(session, road), asleepMs });
  if (mishap === 0 || mishap > 6) {
    await Promise.race([wire.outcome, storm.pause(random.below(120))]);
    const isOver = session.ledger.isAnswered(id);
    road.isDropped = true;
    wire.hangUp();
    await wire.outcome;
    if (isOver) return;
    storm.count('call dropped');
    const lastEventId = wire.lastEventId();
    if (lastEventId !== undefined && random.below(10) < 8) await resume(client, session, id, { road, lastEventId });
    return;
  }
  const cancelling = mishap === 1 ? cancel(client, session, id) : undefined;
  await settle(client, session, { id, wire, what: `${call.tool} ${id}`, isCancelled: cancelling !== undefined });
  await cancelling;
}

async function cancel(client: ChaosClient, session: StreamableSession, id: number): Promise<void> {
  const { storm, random } = client;
  await storm.pause(random.below(100));
  storm.count('call cancelled');
  const status = await session.tell({
    jsonrpc: '2.0',
    method: 'notifications/cancelled',
    params: { requestId: id, reason: 'chaos' },
  });
  if (status !== 202 && status !== 404) storm.violate(`a cancellation got ${status}`);
}

interface Awaited {
  readonly id: number;
  readonly wire: Wire;
  readonly what: string;
  readonly isCancelled?: boolean;
}

/** Waits for the end of the response and judges it: one answer, unless the session is lost or the call was cancelled. */
async function settle({ storm }: ChaosClient, session: StreamableSession, awaited: Awaited): Promise<void> {
  const { id, wire, what, isCancelled = false } = awaited;
  const { status, isComplete } = await session.bounded(what, wire);
  const isAnswered = session.ledger.isAnswered(id);
  if (status === 404) session.lose();
  else if (status !== 200 || !isComplete || (!isAnswered && !isCancelled)) {
    const how = `${isComplete ? 'whole' : 'cut off'}, ${isAnswered ? 'answered' : 'not answered'}`;
    storm.violate(`${session.ledger.marker}: ${what} got ${status}, ${how}`);
  }
}

interface Dropped {
  readonly road: Road;
  readonly lastEventId: string;
}

/** Comes back for an answer, and may lose the connection again. */
async function resume(
  client: ChaosClient,
  session: StreamableSession,
  id: number,
  { road, lastEventId: from }: Dropped,
): Promise<void> {
  const { storm, random } = client;
  let lastEventId = from;
  for (let tries = 1; tries <= maxResumptions; tries++) {
    await storm.pause(random.below(50)); // oxlint-disable-line no-await-in-loop -- one after the other
    const wire = session.get(road, lastEventId);
    storm.count('call resumed');
    const isLast = tries === maxResumptions || random.below(2) === 0;
    if (!isLast) {
      await Promise.race([wire.outcome, storm.pause(random.below(100))]); // oxlint-disable-line no-await-in-loop
      if (!session.ledger.isAnswered(id)) wire.hangUp();
    }
    const { status, isComplete } = await session.bounded(`the rest of ${id}`, wire); // oxlint-disable-line no-await-in-loop
    lastEventId = wire.lastEventId() ?? lastEventId;
    if (status === 404) session.lose();
    if (session.ledger.isAnswered(id) || status === 404) return;
    if (isLast) {
      storm.violate(`${session.ledger.marker}: the rest of ${id} got ${status}, ${isComplete ? 'whole' : 'cut off'}`);
    }
  }
}
