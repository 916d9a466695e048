import { createForwardClock, systemClock } from '../../../platform/clock.ts';
import { isDerivedForm } from '../protocol/identity.ts';
import type { StateFile } from '../../../platform/state-file.ts';
import type { KeptName } from './name-file.ts';
import { OriginShares, unknownNetwork } from './origin-limits.ts';

/** How long a name is kept for its key after its last use, in milliseconds. */
export const nameKeptMs: number = 24 * 60 * 60 * 1000;
/** Names that are remembered, online or offline; about 600 bytes each. */
export const defaultMaxNames = 20_000;
/**
 * Wished names of one origin (`clientNetwork`) that are offline, and of one key, online or offline: more than anybody uses by
 * hand. Without it one address could claim all names that a relay remembers, and so lock out everybody else for nameKeptMs.
 */
const maxWishedNames = 16;
/** How long an agent without requests keeps its place from others of its origin when all are taken, in milliseconds. */
const placeKeptMs = 2_000;
/** Agents that are online at the same time. */
export const defaultMaxAgents = 1_000;
/** Agents of one name: the choice among them is made for every request, and looks at each. */
const maxReplicas = 16;

export type ClaimVerdict<Agent> =
  /** `displaced` is an agent that had to make room; the caller closes it. */
  | { readonly ok: true; readonly epoch: number; readonly displaced?: Agent | undefined }
  | { readonly ok: false; readonly code: 'name_taken' | 'quota'; readonly message: string };

export interface Attached<Agent> {
  readonly accepted: boolean;
  readonly replaced: readonly Agent[];
  readonly online: number;
}

export type Found<Agent> =
  /** Never empty; several agents are replicas. */
  | { readonly state: 'online'; readonly agents: readonly Agent[] }
  | { readonly state: 'offline' }
  | { readonly state: 'unknown' };

/** An agent that serves a name, or is about to. */
interface Place<Agent> {
  readonly record: NameRecord<Agent>;
  readonly origin: string;
  readonly epoch: number;
  /** As in `Hello`. */
  readonly replica: string | undefined;
  /** Undefined until it is attached. */
  agent: Agent | undefined;
  /** When it was claimed, then when it was attached. */
  since: number;
}

interface NameRecord<Agent> {
  readonly name: string;
  readonly publicKey: string;
  /** It was requested, so that another key can request it too; a derived name belongs to one key anyway. */
  readonly isWished: boolean;
  origin: string;
  /** By epoch, in the order of the claims; several of replicas, or of an agent that takes over. */
  readonly places: Map<number, Place<Agent>>;
  /** There was a request since it has been online. */
  isUsed: boolean;
  lastUsedAt: number;
}

export interface RegistryOptions {
  readonly maxAgents?: number | undefined;
  readonly maxNames?: number;
  /** Where wished names are stored; claims wait for it. */
  readonly file?: Promise<StateFile<KeptName>> | undefined;
  /** Milliseconds of wall-clock time. */
  readonly now?: () => number;
}

/**
 * Which key has which name, and which agent serves it, for one relay process. When places or names run out, the origin with
 * the most gives way, so that no stranger can make an honest key fail. Asynchronous, so that several relays can share one
 * later.
 */
export class Registry<Agent> {
  readonly #maxAgents: number;
  readonly #maxNames: number;
  readonly #now: () => number;
  readonly #file: Promise<StateFile<KeptName>> | undefined;
  readonly #restored: Promise<void> | undefined;
  /** In the order of the last use. */
  readonly #records = new Map<string, NameRecord<Agent>>();
  /** Wished names, online or not, by key. */
  readonly #wishedByKey = new OriginShares<NameRecord<Agent>>();
  /** Names that are offline, the oldest first. */
  readonly #offlineWished = new OriginShares<NameRecord<Agent>>();
  readonly #offlineDerived = new OriginShares<NameRecord<Agent>>();
  /** Agents that are online or about to be, the oldest claim first. */
  readonly #places = new OriginShares<Place<Agent>>();
  /** Of all names: a name that was forgotten and comes back must not get an old epoch again. */
  #lastEpoch = 0;

  constructor(options: RegistryOptions = {}) {
    this.#maxAgents = options.maxAgents ?? defaultMaxAgents;
    this.#maxNames = options.maxNames ?? defaultMaxNames;
    // Otherwise a clock that is set back would keep names for longer.
    this.#now = createForwardClock({ ...systemClock, now: options.now ?? Date.now }).now;
    this.#file = options.file;
    this.#restored = options.file === undefined ? undefined : this.#restore(options.file);
    // Every claim rejects with it.
    this.#restored?.catch(() => {});
  }

  /**
   * Gives a name to a key under a new epoch, unless another key has it or a limit is reached. A key that has the name already
   * keeps it, whatever the limits of names. The agents that the new one takes over stay online until it is attached.
   * @param origin that the name and the agent count for.
   * @param replica the id of an agent that shares the name with others of its key that have one.
   */
  async claim(name: string, publicKey: string, origin: string, replica?: string): Promise<ClaimVerdict<Agent>> {
    await this.#restored;
    const existing = this.#read(name);
    const isWished = !isDerivedForm(name);
    let forgotten: NameRecord<Agent> | undefined;
    if (existing === undefined) {
      const tooMany = isWished ? this.#tooManyWished(publicKey, origin) : undefined;
      if (tooMany !== undefined) return quota(tooMany);
      if (this.#records.size >= this.#maxNames) {
        forgotten = this.#nameToForget(isWished, origin);
        if (forgotten === undefined && isWished) {
          return quota(
            'this relay remembers as many names as it can; omit the name to get one that belongs to your key',
          );
        }
      }
    } else if (existing.publicKey !== publicKey) {
      return { ok: false, code: 'name_taken', message: `the name ${name} belongs to another key` };
    }
    const places = [...(existing?.places.values() ?? [])];
    const takenOver = places.filter((place) => isTakenOver(place, replica));
    if (places.length - takenOver.length >= maxReplicas) {
      return quota(`the name ${name} has ${maxReplicas} replicas, as many as a name can have`);
    }
    let displaced: Agent | undefined;
    if (takenOver.length === 0 && this.#places.size >= this.#maxAgents) {
      const victim = this.#agentToDisplace(origin);
      if (victim === undefined) return quota('this relay serves as many agents as it can');
      displaced = victim.agent;
      this.#remove(victim);
    }
    if (forgotten !== undefined) this.#forget(forgotten);

    const record = existing ?? createRecord<Agent>({ name, publicKey, origin, lastUsedAt: this.#now() });
    const epoch = this.#occupy(record, origin, replica);
    for (const place of takenOver) if (place.agent === undefined) this.#remove(place);
    if (existing === undefined && isWished) {
      this.#wishedByKey.add(publicKey, record);
      // A stranger must not get the name if the process ends right now.
      await this.#save();
    }
    return { ok: true, epoch, displaced };
  }

  /**
   * Puts the agent of a claim online. Returns the agents that it takes over, which the caller closes; `accepted` is false when
   * a newer claim came first. `online` agents serve the name now.
   */
  async attach(name: string, epoch: number, agent: Agent): Promise<Attached<Agent>> {
    const record = this.#records.get(name);
    const place = record?.places.get(epoch);
    if (record === undefined || place === undefined) return { accepted: false, replaced: [], online: 0 };
    place.agent = agent;
    place.since = this.#now();
    const older = [...record.places.values()].filter(
      (other) => other.epoch < epoch && isTakenOver(other, place.replica),
    );
    for (const other of older) this.#remove(other);
    this.#touch(record);
    const replaced = older.flatMap((other) => other.agent ?? []);
    return { accepted: true, replaced, online: agentsOf(record).length };
  }

  /** The agents that serve the name. They then count as used: they are among the last to be displaced. */
  async find(name: string): Promise<Found<Agent>> {
    const record = this.#read(name);
    if (record === undefined) return { state: 'unknown' };
    const agents = agentsOf(record);
    if (agents.length === 0) return { state: 'offline' };
    record.isUsed = true;
    return { state: 'online', agents };
  }

  /** Ends a claim, or the place of its agent, if it still has it. Returns how many agents serve the name now. */
  async release(name: string, epoch: number): Promise<number> {
    const record = this.#records.get(name);
    if (record === undefined) return 0;
    const place = record.places.get(epoch);
    if (place !== undefined) this.#remove(place);
    return agentsOf(record).length;
  }

  #isExpired(record: NameRecord<Agent>): boolean {
    return !isBusy(record) && this.#now() - record.lastUsedAt > nameKeptMs;
  }

  #offline({ isWished }: NameRecord<Agent>): OriginShares<NameRecord<Agent>> {
    return isWished ? this.#offlineWished : this.#offlineDerived;
  }

  /** Only for a name that is offline. */
  #forget(record: NameRecord<Agent>): void {
    this.#records.delete(record.name);
    this.#offline(record).delete(record.origin, record);
    this.#wishedByKey.delete(record.publicKey, record);
  }

  #read(name: string): NameRecord<Agent> | undefined {
    const record = this.#records.get(name);
    if (record === undefined || !this.#isExpired(record)) return record;
    this.#forget(record);
    return undefined;
  }

  #touch(record: NameRecord<Agent>): void {
    record.lastUsedAt = this.#now();
    this.#records.delete(record.name);
    this.#records.set(record.name, record);
  }

  /** Counts an agent that is about to serve the name for `origin`. Returns its epoch. */
  #occupy(record: NameRecord<Agent>, origin: string, replica: string | undefined): number {
    if (!isBusy(record)) this.#offline(record).delete(record.origin, record);
    record.origin = origin;
    const place = { record, origin, epoch: ++this.#lastEpoch, replica, agent: undefined, since: this.#now() };
    record.places.set(place.epoch, place);
    this.#places.add(origin, place);
    this.#touch(record);
    return place.epoch;
  }

  /** With its last agent the name goes offline. */
  #remove(place: Place<Agent>): void {
    const { record } = place;
    record.places.delete(place.epoch);
    this.#places.delete(place.origin, place);
    if (isBusy(record)) return;
    record.isUsed = false;
    record.origin = place.origin;
    this.#offline(record).add(record.origin, record);
    this.#touch(record);
    // When wished names fill the memory, a derived name is not remembered: nobody else can take it.
    if (!record.isWished && this.#records.size > this.#maxNames) this.#forget(record);
    if (record.isWished) void this.#save();
  }

  #snapshot(): KeptName[] {
    const names: KeptName[] = [];
    for (const record of this.#records.values()) {
      const { name, publicKey, origin, isWished, lastUsedAt } = record;
      if (!isWished || this.#isExpired(record)) continue;
      names.push({ name, publicKey, origin, ...(isBusy(record) ? {} : { offlineSince: lastUsedAt }) });
    }
    return names;
  }

  async #save(): Promise<void> {
    const file = await this.#file;
    await file?.save(() => this.#snapshot());
  }

  /** Why a key or an origin gets no further wished name; undefined when it does. */
  #tooManyWished(publicKey: string, origin: string): string | undefined {
    const shares = [['your key', this.#wishedByKey.of(publicKey)]] as [string, ReadonlySet<NameRecord<Agent>>][];
    if (origin !== unknownNetwork) shares.push(['your network', this.#offlineWished.of(origin)]);
    for (const [whose, share] of shares) {
      for (const record of share) if (this.#isExpired(record)) this.#forget(record);
      if (share.size < maxWishedNames) continue;
      return `this relay keeps ${maxWishedNames} names for ${whose} already, each until 24 hours after its last use; omit the name to get one that belongs to your key`;
    }
    return undefined;
  }

  #oldestExpired(): NameRecord<Agent> | undefined {
    for (const record of this.#records.values()) {
      if (this.#isExpired(record)) return record;
      if (!isBusy(record)) return undefined;
    }
    return undefined;
  }

  /** The name to forget for a new one: expired, derived, or the oldest that is offline at the origin with the most. */
  #nameToForget(isWished: boolean, origin: string): NameRecord<Agent> | undefined {
    const [derived] = this.#offlineDerived.largest();
    const unprotected = this.#oldestExpired() ?? derived;
    if (unprotected !== undefined || !isWished) return unprotected;
    const largest = this.#offlineWished.largest();
    const [oldest] = largest;
    // Otherwise two origins would take each other's names in turn.
    return largest.size > this.#offlineWished.of(origin).size + 1 ? oldest : undefined;
  }

  /** The agent to displace for another: of the origin with the most, or an unused one of its own. */
  #agentToDisplace(origin: string): Place<Agent> | undefined {
    const own = this.#places.of(origin);
    const largest = this.#places.largest();
    const mayTakeAny = largest.size > own.size + 1;
    const candidates = [...(mayTakeAny ? largest : own)].filter(({ agent }) => agent !== undefined);
    // The oldest, so that a new one has time to be used.
    const unused = candidates.find(({ record }) => !record.isUsed);
    if (mayTakeAny) return unused ?? candidates.at(-1);
    return unused !== undefined && this.#now() - unused.since >= placeKeptMs ? unused : undefined;
  }

  async #restore(opening: Promise<StateFile<KeptName>>): Promise<void> {
    const { entries } = await opening;
    // What was in use when the last process ended may come back at any time from now on.
    const dated = entries.map((kept) => ({
      ...kept,
      lastUsedAt: Math.min(kept.offlineSince ?? this.#now(), this.#now()),
    }));
    for (const kept of dated.toSorted((one, other) => one.lastUsedAt - other.lastUsedAt).slice(-this.#maxNames)) {
      const record = createRecord<Agent>(kept);
      this.#records.set(record.name, record);
      this.#offlineWished.add(record.origin, record);
      this.#wishedByKey.add(record.publicKey, record);
    }
  }
}

function isBusy<Agent>(record: NameRecord<Agent>): boolean {
  return record.places.size > 0;
}

/** Whether an agent of the same key takes it over: only replicas with different ids share a name. */
function isTakenOver<Agent>(place: Place<Agent>, replica: string | undefined): boolean {
  return replica === undefined || place.replica === undefined || place.replica === replica;
}

function agentsOf<Agent>(record: NameRecord<Agent>): Agent[] {
  return [...record.places.values()].flatMap(({ agent }) => agent ?? []);
}

function createRecord<Agent>({
  name,
  publicKey,
  origin,
  lastUsedAt,
}: Pick<NameRecord<Agent>, 'name' | 'publicKey' | 'origin' | 'lastUsedAt'>): NameRecord<Agent> {
  const isWished = !isDerivedForm(name);
  return { name, publicKey, origin, lastUsedAt, isWished, places: new Map(), isUsed: false };
}

function quota<Agent>(message: string): ClaimVerdict<Agent> {
  return { ok: false, code: 'quota', message };
}
