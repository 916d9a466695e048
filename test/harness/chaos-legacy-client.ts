// A client of the older HTTP+SSE transport in a storm: all answers come on one stream, and the session ends with it.
import { within } from './eventually.ts';
import { openRoad } from './chaos-ledger.ts';
import { createChaosSession, misbehave, type ChaosClient, type ChaosSession } from './chaos-session.ts';
import { openWire, type Wire, type WireRequest } from './chaos-wire.ts';

const revision = '2024-11-05';

/** From the connection to the event that names the endpoint. */
const endpointMs = 15_000;

interface LegacySession extends ChaosSession {
  readonly endpoint: string;
  readonly stream: Wire;
  post(body: string, more?: Partial<WireRequest>): Wire;
  /** Whether an answer came before the stream ended. */
  answered(id: number): Promise<boolean>;
  isOver(): boolean;
}

/** Lives through the storm, one session after the other. */
export async function runLegacyClient(client: ChaosClient): Promise<void> {
  const { storm } = client;
  while (!storm.signal.aborted) {
    const session = await connect(client); // oxlint-disable-line no-await-in-loop -- one after the other
    if (session === undefined) await storm.pause(100); // oxlint-disable-line no-await-in-loop
    else await useSession(client, session); // oxlint-disable-line no-await-in-loop
  }
}

async function connect(client: ChaosClient): Promise<LegacySession | undefined> {
  const { url, storm } = client;
  const named = new URL(url.replace(/\/mcp$/, '/sse'));
  const road = openRoad('all');
  const waiting = new Map<number, (isAnswered: boolean) => void>();
  const own: { endpoint?: string | undefined; isOver: boolean } = { isOver: false };
  const post = (body: string, more: Partial<WireRequest> = {}): Wire =>
    openWire({
      url: own.endpoint ?? '',
      method: 'POST',
      headers: session.headers(),
      body,
      onMessage: (json) => session.ledger.receive(json, road),
      ...more,
    });
  const session = createChaosSession({
    client,
    revision,
    post,
    headers: () => [],
    onAnswer: (id) => waiting.get(id)?.(true),
  });
  let learn: ((endpoint: string) => void) | undefined;
  const learnt = new Promise<string>((resolve) => (learn = resolve));
  const stream = openWire({
    url: named.href,
    method: 'GET',
    headers: session.headers(),
    onEvent: (name, data) => name === 'endpoint' && learn?.(new URL(data, named).href),
    onMessage: (json, eventId) => session.ledger.receive(json, road, eventId),
  });
  const ended = stream.outcome.then(() => {
    own.isOver = true;
    for (const give of waiting.values()) give(false);
    return undefined;
  });
  own.endpoint = await within(endpointMs, 'the endpoint of HTTP+SSE', Promise.race([learnt, ended])).catch(() => '');
  if (own.endpoint === undefined || own.endpoint === '') {
    storm.violate('the older transport named no endpoint');
    stream.hangUp();
    return undefined;
  }
  const answered = (id: number): Promise<boolean> => {
    const already = session.ledger.isAnswered(id);
    if (already || own.isOver) return Promise.resolve(already);
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  const legacy = { ...session, endpoint: own.endpoint, stream, post, answered, isOver: () => own.isOver };
  await makeRequest(client, legacy, 1, session.initialize);
  if (!session.ledger.hasSucceeded(1) || own.isOver) {
    storm.count('initialize failed');
    stream.hangUp();
    return undefined;
  }
  storm.count('session opened');
  await session.tell({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return legacy;
}

/** POSTs a request; resolves with whether it is answered. */
async function makeRequest(client: ChaosClient, session: LegacySession, id: number, body: string): Promise<boolean> {
  const { status } = await session.bounded(`request ${id}`, session.post(body));
  if (status === 202) {
    const outcome = session.answered(id).then((isAnswered) => ({ status: isAnswered ? 200 : undefined }));
    const { stream } = session;
    const wire = { ...stream, outcome: outcome.then((known) => ({ ...known, headers: {}, isComplete: true })) };
    return (await session.bounded(`the answer to ${id}`, wire)).status === 200;
  }
  if (status === 503) client.storm.count('session refused');
  else if (status !== 404 && !(status === undefined && session.isOver())) {
    client.storm.violate(`${session.ledger.marker}: request ${id} got ${status} over HTTP+SSE`);
  }
  return false;
}

async function useSession(client: ChaosClient, session: LegacySession): Promise<void> {
  const { storm, random } = client;
  for (let rounds = 3 + random.below(40); rounds > 0 && !storm.signal.aborted && !session.isOver(); rounds--) {
    if (random.below(10) === 0) {
      await misbehave(session, client, session.endpoint); // oxlint-disable-line no-await-in-loop -- one after the other
    } else {
      const calls = Array.from({ length: 1 + random.below(5) }, () => makeCall(client, session));
      await Promise.all(calls); // oxlint-disable-line no-await-in-loop
    }
    await storm.pause(random.below(30)); // oxlint-disable-line no-await-in-loop
  }
  if (session.isOver()) storm.count('session lost');
  const calls = random.below(2) === 0 ? [makeCall(client, session), makeCall(client, session)] : [];
  await storm.pause(random.below(40));
  session.stream.hangUp();
  await Promise.all([...calls, session.stream.outcome]);
  await session.settled();
}

async function makeCall(client: ChaosClient, session: LegacySession): Promise<void> {
  const { storm, random } = client;
  const { id, call, body } = session.plan();
  if (random.below(10) === 0) {
    const posted = session.bounded(`request ${id}`, session.post(body));
    await storm.pause(random.below(100));
    storm.count('call cancelled');
    await session.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    await posted;
    return;
  }
  const isAnswered = await makeRequest(client, session, id, body);
  if (!isAnswered && !session.isOver()) storm.violate(`${session.ledger.marker}: ${call.tool} ${id} was not answered`);
}
