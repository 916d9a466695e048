// A supervised upstream over servers in memory, in a time that the test moves.
import { RestartingUpstream, type RestartingUpstreamOptions } from '../../../src/bridge/restart/restarting-upstream.ts';
import { Coexistence } from '../../../src/bridge/restart/coexistence.ts';
import { UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../../../src/bridge/upstream/upstream.ts';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { initialize, notification, response } from '../messages.ts';

export interface Sent {
  readonly id?: RequestId;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
}

export interface SupervisedWorld {
  readonly upstream: Upstream;
  readonly clock: FakeClock;
  /** The connections that were made, the first one first. */
  readonly made: FakeUpstream[];
  readonly messages: RpcMessage[];
  readonly origins: (RequestId | undefined)[];
  readonly lost: UpstreamEnd[];
  readonly ends: UpstreamEnd[];
  readonly warnings: string[];
  /** How often the client could go on. */
  readonly restarts: () => number;
  /** The newest connection. */
  readonly server: () => FakeUpstream;
  /** Client and server agree, and the client says that it is ready. */
  readonly agree: () => void;
  /** The newest connection has been made anew, and its server answers `initialize`. */
  readonly welcome: (result?: object) => void;
  /** The server dies, comes back within ten seconds and answers. */
  readonly restart: (end?: Partial<UpstreamEnd>) => void;
}

export const agreed = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'fake', version: '1' } };
export const startTimeoutMs = 60_000;

export function sentTo({ sent }: FakeUpstream): Sent[] {
  return sent.map((line) => parseJson<Sent>(line));
}

/** Methods of what it was sent, and the ids of what has no method. */
export function methodsSentTo(server: FakeUpstream): unknown[] {
  return sentTo(server).map(({ method, id }) => method ?? id);
}

export interface SupervisedWorldOptions extends Partial<Omit<RestartingUpstreamOptions, 'server'>> {
  /** What is made of each server in memory. */
  readonly wrap?: (server: FakeUpstream) => Upstream;
  /** Calls back when a connection may be made; by default at once. */
  readonly whenClear?: (connect: () => void) => () => void;
  /** False: the test starts it. */
  readonly starts?: boolean;
}

export function supervisedWorld(given: SupervisedWorldOptions = {}): SupervisedWorld {
  const { wrap, whenClear, starts = true, ...options } = given;
  const clock = createFakeClock();
  const made: FakeUpstream[] = [];
  const messages: RpcMessage[] = [];
  const origins: (RequestId | undefined)[] = [];
  const lost: UpstreamEnd[] = [];
  const ends: UpstreamEnd[] = [];
  const warnings: string[] = [];
  const health = new UpstreamHealth(clock);
  const coexistence = new Coexistence({ knowledge: 'proven', onChange() {}, onWarning() {} });
  if (whenClear !== undefined) coexistence.whenClear = whenClear;
  const upstream = new RestartingUpstream({
    server: {
      take() {
        const connection = createFakeUpstream();
        made.push(connection);
        return wrap?.(connection) ?? connection;
      },
      coexistence,
      health,
    },
    restart: 'on-exit',
    startTimeoutMs,
    clock,
    random: () => 1,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  const events: UpstreamEvents = {
    onMessage(message, origin) {
      messages.push(message);
      origins.push(origin);
    },
    onLost: (end) => lost.push(end),
    onClose: (end) => ends.push(end),
  };
  if (starts) upstream.start(events);

  function server(): FakeUpstream {
    const newest = made.at(-1);
    if (newest === undefined) throw new Error('no connection was made');
    return newest;
  }

  function welcome(result: object = agreed): void {
    const id = sentTo(server())[0]?.id;
    if (id === undefined) throw new Error('the server was not asked to initialize');
    server().say(response(id, result));
  }

  return {
    upstream,
    clock,
    made,
    messages,
    origins,
    lost,
    ends,
    warnings,
    restarts: () => health.report().restarts,
    server,
    agree() {
      upstream.send(initialize);
      server().say(response(0, agreed));
      upstream.send(notification('notifications/initialized'));
      messages.length = 0;
      server().sent.length = 0;
    },
    welcome,
    restart(end) {
      server().die(end);
      clock.advance(10_000);
      welcome();
    },
  };
}

/** A world whose client and server have agreed. */
export function agreedWorld(options: SupervisedWorldOptions = {}): SupervisedWorld {
  const world = supervisedWorld(options);
  world.agree();
  return world;
}
