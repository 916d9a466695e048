// Clients, servers and time take turns at random; what must hold, holds after every step.
import { expect, test } from 'vitest';
import { createLegacyExchanges, type LegacyExchanges } from '../../../src/bridge/exchange/legacy-exchanges.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createRandom, type Random } from '../../harness/random.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { message, request } from '../messages.ts';
import { createFakeCall, type FakeCall } from '../session/fake-sink.ts';
import { askedIn, jsonOf, objectIn, type Json } from './world.ts';

const maxChildren = 5;

/** Of so many calls clients come back to one, or leave it. */
const recent = 12;
const callers = ['a', 'b', 'c'];
const capabilitySets = [{ elicitation: {} }, { elicitation: {}, roots: {} }, { elicitation: {}, roots: {} }];
const methods = ['tools/call', 'tools/call', 'prompts/get', 'tools/list'];

/** A server that remembers for whom it works. */
interface Server {
  readonly upstream: FakeUpstream;
  /** The caller whose requests it gets; it must never be two. */
  caller: string | undefined;
  /** Requests that it has not answered, with who made them. */
  readonly open: Map<unknown, string>;
  /** What it has asked and nobody has answered. */
  readonly asked: Set<unknown>;
  isDead: boolean;
}

interface ClientCall {
  readonly caller: string;
  readonly capabilities: object;
  readonly method: string;
  readonly params: Json;
  readonly call: FakeCall;
  hasLeft: boolean;
}

class Simulation {
  readonly #random: Random;
  readonly #clock: FakeClock = createFakeClock();
  readonly #servers: Server[] = [];
  readonly #calls: ClientCall[] = [];
  readonly #exchanges: LegacyExchanges;
  #lastAsk = 0;
  /** What does not hold. */
  readonly problems = new Set<string>();
  /** What has happened, so that it is known that it does. */
  readonly tally = { answers: 0, results: 0, resumed: 0, foreign: 0, deaths: 0 };

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.#exchanges = createLegacyExchanges({
      nextUpstream: () => this.#newServer().upstream,
      maxChildren,
      serializeInteractive: seed % 4 === 0,
      startTimeoutMs: 60_000,
      clientVersion: '0',
      clock: this.#clock,
      onWarning() {},
    });
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.#step();
      this.#check();
    }
  }

  /** Nothing is left when servers have answered, clients do not return, and everything ends. */
  async finish(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      for (const server of this.#living()) for (const id of server.open.keys()) this.#answer(server, id);
      this.#clock.advance(10 * 60_000);
    }
    this.#must(this.#exchanges.report().parked === 0, 'no call waits for ever');
    this.#must(this.#exchanges.report().children === 0, 'a connection that nobody needs ends');
    this.#check();
    await this.#exchanges.close();
    for (const { call, hasLeft } of this.#calls)
      this.#must(finalsOf(call) === (hasLeft ? 0 : 1), 'a request has an end');
    this.#must(this.#exchanges.report().children === 0, 'no connection is left');
    this.#must(this.#clock.pending === 0, 'no timer is left');
  }

  #step(): void {
    const dice = 100 * this.#random.next();
    const [server, call] = [pickFrom(this.#random, this.#living()), pickFrom(this.#random, this.#calls.slice(-recent))];
    if (dice < 20) this.#begin();
    else if (dice < 40 && server !== undefined) this.#answer(server, pickFrom(this.#random, [...server.open.keys()]));
    else if (dice < 55 && server !== undefined) this.#ask(server);
    else if (dice < 78 && call !== undefined) this.#return(call);
    else if (dice < 86 && call !== undefined) leave(call);
    else if (dice < 89 && server !== undefined) this.#kill(server);
    else if (dice < 89.5) this.#exchanges.endCaller(this.#random.pick(callers));
    else
      this.#clock.advance(this.#random.pick([20, 20, 20, 30, 1000, 1000, 60_000, this.#random.below(5) * 3 * 60_000]));
  }

  #check(): void {
    this.#must(this.#exchanges.report().children <= maxChildren, 'connections are as many as may be');
    for (const { call, hasLeft } of this.#calls)
      this.#must(finalsOf(call) <= (hasLeft ? 0 : 1), 'a request has one end');
  }

  #must(holds: boolean, what: string): void {
    if (!holds) this.problems.add(what);
  }

  #begin(): void {
    const caller = this.#random.pick(callers);
    this.#send(caller, this.#random.pick(capabilitySets), this.#random.pick(methods), { name: caller });
  }

  #send(caller: string, capabilities: object, method: string, params: Json): void {
    const call = createFakeCall();
    this.#calls.push({ caller, capabilities, method, params, call, hasLeft: false });
    const meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities, progressToken: 1 };
    const sent = request(this.#random.below(5), method, { ...params, _meta: meta });
    this.#exchanges.request({ id: caller, label: caller }, sent, call);
  }

  /** A client comes back with an answer, with a wrong one, or once more. */
  #return({ caller, capabilities, method, params, call, hasLeft }: ClientCall): void {
    const isAsked = call.responses[0]?.json['result'] !== undefined && !hasLeft;
    if (!isAsked || objectIn(call.responses[0]?.json['result'])['resultType'] !== 'input_required') return;
    const { inputRequests, requestState } = askedIn(call);
    // What a server asks says for whom.
    for (const each of Object.values(inputRequests)) {
      const { method: what, params: asked } = objectIn(each);
      if (what === 'elicitation/create')
        this.#must(objectIn(asked)['message'] === caller, 'a question is for one caller');
    }
    const answer = { action: 'accept', content: {}, roots: [] };
    const keys = Object.keys(inputRequests).filter(() => this.#random.below(4) > 0);
    const inputResponses = Object.fromEntries(keys.map((key) => [key, answer]));
    // Another caller cannot go on with it.
    const by = this.#random.below(10) === 0 ? this.#random.pick(callers) : caller;
    const before = this.#exchanges.report().parked;
    this.#send(by, capabilities, method, { name: params['name'], inputResponses, requestState });
    if (by === caller && this.#exchanges.report().parked < before) this.tally.resumed++;
    if (by === caller) return;
    const [failure] = this.#calls.at(-1)?.call.failures ?? [];
    this.#must(failure?.data?.['reason'] === 'mismatch', 'only the caller goes on with a call');
    this.tally.foreign++;
  }

  #newServer(): Server {
    const upstream = createFakeUpstream();
    const server: Server = { upstream, caller: undefined, open: new Map(), asked: new Set(), isDead: false };
    this.#servers.push(server);
    upstream.onSent = (line) => this.#receive(server, jsonOf(line));
    return server;
  }

  #living(): Server[] {
    return this.#servers.filter(({ upstream, isDead }) => !isDead && upstream.closeCalls === 0 && upstream.started);
  }

  #receive(server: Server, { id, method, params }: Json): void {
    if (method === 'initialize') {
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'x', version: '1' },
      };
      server.upstream.say(message({ id, result }));
    } else if (method === 'ping') {
      if (this.#random.below(2) === 0)
        server.upstream.say(message({ id: this.#nextAsk(server), method: 'roots/list' }));
      server.upstream.say(message({ id, result: {} }));
    } else if (method === 'notifications/cancelled') {
      // It may answer all the same.
      if (this.#random.below(2) === 0) server.open.delete(objectIn(params)['requestId']);
    } else if (method === undefined) {
      // Each question gets one answer, and only from where it was asked.
      this.#must(server.asked.delete(id), 'one answer to each question');
      this.tally.answers++;
    } else if (id !== undefined) {
      const caller = String(objectIn(params)['name']);
      this.#must((server.caller ?? caller) === caller, 'a server has one caller');
      server.caller = caller;
      this.#must(!server.open.has(id), 'ids are not used twice');
      server.open.set(id, caller);
    }
  }

  #answer(server: Server, id: unknown): void {
    if (id === undefined || !server.open.delete(id)) return;
    this.tally.results++;
    server.upstream.say(message({ method: 'notifications/progress', params: { progressToken: id, progress: 1 } }));
    const outcome =
      this.#random.below(5) === 0 ? { error: { code: -32000, message: 'no' } } : { result: { content: [] } };
    server.upstream.say(message({ id, ...outcome }));
  }

  #ask(server: Server): void {
    const method = this.#random.pick(['elicitation/create', 'elicitation/create', 'roots/list', 'ping']);
    if (method === 'ping') {
      const [asked] = server.asked;
      if (asked === undefined) return;
      // The answer may be on its way.
      server.upstream.say(message({ method: 'notifications/cancelled', params: { requestId: asked } }));
      server.asked.delete(asked);
      return;
    }
    const params = { message: server.caller, requestedSchema: {} };
    const origin = this.#random.below(2) === 0 ? pickFrom(this.#random, [...server.open.keys()]) : undefined;
    const asked = message({ id: this.#nextAsk(server), method, params });
    server.upstream.say(asked, typeof origin === 'number' ? origin : undefined);
  }

  #nextAsk(server: Server): number {
    server.asked.add(++this.#lastAsk);
    return this.#lastAsk;
  }

  #kill(server: Server): void {
    if (this.#random.below(2) === 0) {
      server.isDead = true;
      this.tally.deaths++;
      server.upstream.die();
    } else {
      server.open.clear();
      server.asked.clear();
      server.upstream.lose();
    }
  }
}

function leave(client: ClientCall): void {
  if (finalsOf(client.call) > 0) return;
  client.hasLeft = true;
  client.call.leave();
}

function finalsOf({ responses, failures }: FakeCall): number {
  return responses.length + failures.length;
}

function pickFrom<T>(random: Random, choices: readonly T[]): T | undefined {
  return choices.length === 0 ? undefined : random.pick(choices);
}

const simulations = Array.from({ length: 60 }, (_, index) => new Simulation(index + 1));

test.each([...simulations.entries()])('in any order, each request has one end (%i)', async (_, simulation) => {
  simulation.run(250);
  await simulation.finish();
  expect([...simulation.problems]).toEqual([]);
});

test('and all of it has happened', () => {
  for (const kind of ['answers', 'results', 'resumed', 'foreign', 'deaths'] as const) {
    const total = simulations.reduce((sum, { tally }) => sum + tally[kind], 0);
    expect([kind, total > 10]).toEqual([kind, true]);
  }
});
