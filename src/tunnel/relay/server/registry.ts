import { isDerivedForm } from '../protocol/identity.ts';
import type { KeptName, NameFile } from './name-file.ts';
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

export type ClaimVerdict<Agent> =
  /** `displaced` is an agent that had to make room; the caller closes it. */
  | { readonly ok: true; readonly epoch: number; readonly displaced?: Agent | undefined }
  | { readonly ok: false; readonly code: 'name_taken' | 'quota'; readonly message: string };

export type Found<Agent> =
  | { readonly state: 'online'; readonly agent: Agent }
  | { readonly state: 'offline' }
  | { readonly state: 'unknown' };

/** Which key has which name, and which agent serves it. Asynchronous, so that several relays can share one later. */
export interface Registry<Agent> {
  /**
   * Gives `name` to `publicKey` under a new epoch, unless another key has it or a limit is reached. The name counts for
   * `origin`. A key that has the name already keeps it, whatever the limits of names.
   */
  claim(name: string, publicKey: string, origin: string): Promise<ClaimVerdict<Agent>>;
  /**
   * Puts the agent of a claim online. Returns the agent that it replaces, which the caller closes; `accepted` is false when a
   * newer claim came first.
   */
  attach(name: string, epoch: number, agent: Agent): Promise<{ accepted: boolean; replaced: Agent | undefined }>;
  /** The agent that serves the name. It then counts as used: it is among the last to be displaced. */
  find(name: string): Promise<Found<Agent>>;
  /** Ends a claim. Does nothing once a newer epoch has the name. */
  release(name: string, epoch: number): Promise<void>;
}

interface NameRecord<Agent> {
  readonly name: string;
  readonly publicKey: string;
  /** It was requested, so that another key can request it too; a derived name belongs to one key anyway. */
  readonly isWished: boolean;
  origin: string;
  epoch: number;
  agent: Agent | undefined;
  /** Its epoch is claimed and neither attached nor released; it counts as an agent. */
  isClaimed: boolean;
  /** Its agent has had a request. */
  isUsed: boolean;
  lastUsedAt: number;
}

export interface RegistryOptions {
  readonly maxAgents?: number;
  readonly maxNames?: number;
  /** Where wished names are stored; claims wait for it. */
  readonly file?: Promise<NameFile> | undefined;
  /** Milliseconds of wall-clock time. */
  readonly now?: () => number;
}

/**
 * A registry in memory, for one relay process. When places or names run out, the origin with the most gives way, so that no
 * stranger can make an honest key fail.
 */
export function createRegistry<Agent>(options: RegistryOptions = {}): Registry<Agent> {
  const { maxAgents = defaultMaxAgents, maxNames = defaultMaxNames, now = Date.now } = options;
  /** In the order of the last use. */
  const records = new Map<string, NameRecord<Agent>>();
  /** Wished names, online or not, by key. */
  const wishedByKey = new OriginShares<NameRecord<Agent>>();
  /** Names that are offline, the oldest first. */
  const offlineWished = new OriginShares<NameRecord<Agent>>();
  const offlineDerived = new OriginShares<NameRecord<Agent>>();
  /** Names that are online or about to be, the oldest claim first. */
  const busy = new OriginShares<NameRecord<Agent>>();
  /** Of all names: a name that was forgotten and comes back must not get an old epoch again. */
  let lastEpoch = 0;

  const isBusy = (record: NameRecord<Agent>): boolean => record.agent !== undefined || record.isClaimed;
  const isExpired = (record: NameRecord<Agent>): boolean => !isBusy(record) && now() - record.lastUsedAt > nameKeptMs;
  const offline = ({ isWished }: NameRecord<Agent>): OriginShares<NameRecord<Agent>> =>
    isWished ? offlineWished : offlineDerived;

  /** Only for a name that is offline. */
  const forget = (record: NameRecord<Agent>): void => {
    records.delete(record.name);
    offline(record).delete(record.origin, record);
    wishedByKey.delete(record.publicKey, record);
  };

  const read = (name: string): NameRecord<Agent> | undefined => {
    const record = records.get(name);
    if (record === undefined || !isExpired(record)) return record;
    forget(record);
    return undefined;
  };

  const touch = (record: NameRecord<Agent>): void => {
    record.lastUsedAt = now();
    records.delete(record.name);
    records.set(record.name, record);
  };

  /** Counts a name that is about to be online for `origin`, which may have changed. */
  const occupy = (record: NameRecord<Agent>, origin: string): void => {
    (isBusy(record) ? busy : offline(record)).delete(record.origin, record);
    record.origin = origin;
    record.isClaimed = true;
    record.epoch = ++lastEpoch;
    busy.add(origin, record);
    touch(record);
  };

  const goOffline = (record: NameRecord<Agent>): void => {
    record.agent = undefined;
    record.isClaimed = false;
    record.isUsed = false;
    busy.delete(record.origin, record);
    offline(record).add(record.origin, record);
    touch(record);
    // When wished names fill the memory, a derived name is not remembered: nobody else can take it.
    if (!record.isWished && records.size > maxNames) forget(record);
    if (record.isWished) void save();
  };

  const snapshot = (): KeptName[] => {
    const names: KeptName[] = [];
    for (const record of records.values()) {
      const { name, publicKey, origin, isWished, lastUsedAt } = record;
      if (!isWished || isExpired(record)) continue;
      names.push({ name, publicKey, origin, ...(isBusy(record) ? {} : { offlineSince: lastUsedAt }) });
    }
    return names;
  };
  const save = async (): Promise<void> => {
    const file = await options.file;
    await file?.save(snapshot);
  };

  /** Why a key or an origin gets no further wished name; undefined when it does. */
  const tooManyWished = (publicKey: string, origin: string): string | undefined => {
    const shares = [['your key', wishedByKey.of(publicKey)]] as [string, ReadonlySet<NameRecord<Agent>>][];
    if (origin !== unknownNetwork) shares.push(['your network', offlineWished.of(origin)]);
    for (const [whose, share] of shares) {
      for (const record of share) if (isExpired(record)) forget(record);
      if (share.size < maxWishedNames) continue;
      return `this relay keeps ${maxWishedNames} names for ${whose} already, each until 24 hours after its last use; omit the name to get one that belongs to your key`;
    }
    return undefined;
  };

  const oldestExpired = (): NameRecord<Agent> | undefined => {
    for (const record of records.values()) {
      if (isExpired(record)) return record;
      if (!isBusy(record)) return undefined;
    }
    return undefined;
  };

  /** The name to forget for a new one: expired, derived, or the oldest that is offline at the origin with the most. */
  const nameToForget = (isWished: boolean, origin: string): NameRecord<Agent> | undefined => {
    const [derived] = offlineDerived.largest();
    const unprotected = oldestExpired() ?? derived;
    if (unprotected !== undefined || !isWished) return unprotected;
    const largest = offlineWished.largest();
    const [oldest] = largest;
    // Otherwise two origins would take each other's names in turn.
    return largest.size > offlineWished.of(origin).size + 1 ? oldest : undefined;
  };

  /** The agent to displace for another: of the origin with the most, or an unused one of its own. */
  const agentToDisplace = (origin: string): NameRecord<Agent> | undefined => {
    const own = busy.of(origin);
    const largest = busy.largest();
    const mayTakeAny = largest.size > own.size + 1;
    const candidates = [...(mayTakeAny ? largest : own)].filter(({ agent }) => agent !== undefined);
    // The oldest, so that a new one has time to be used.
    const unused = candidates.find(({ isUsed }) => !isUsed);
    if (mayTakeAny) return unused ?? candidates.at(-1);
    return unused !== undefined && now() - unused.lastUsedAt >= placeKeptMs ? unused : undefined;
  };

  const restore = async (opening: Promise<NameFile>): Promise<void> => {
    const { names } = await opening;
    // What was in use when the last process ended may come back at any time from now on.
    const dated = names.map((kept) => ({ ...kept, lastUsedAt: Math.min(kept.offlineSince ?? now(), now()) }));
    for (const kept of dated.toSorted((one, other) => one.lastUsedAt - other.lastUsedAt).slice(-maxNames)) {
      const record = createRecord<Agent>(kept);
      records.set(record.name, record);
      offlineWished.add(record.origin, record);
      wishedByKey.add(record.publicKey, record);
    }
  };
  const restored = options.file === undefined ? undefined : restore(options.file);
  // Every claim rejects with it.
  restored?.catch(() => {});

  return {
    async claim(name, publicKey, origin) {
      await restored;
      const existing = read(name);
      const isWished = !isDerivedForm(name);
      let forgotten: NameRecord<Agent> | undefined;
      if (existing === undefined) {
        const tooMany = isWished ? tooManyWished(publicKey, origin) : undefined;
        if (tooMany !== undefined) return quota(tooMany);
        if (records.size >= maxNames) {
          forgotten = nameToForget(isWished, origin);
          if (forgotten === undefined && isWished) {
            return quota(
              'this relay remembers as many names as it can; omit the name to get one that belongs to your key',
            );
          }
        }
      } else if (existing.publicKey !== publicKey) {
        return { ok: false, code: 'name_taken', message: `the name ${name} belongs to another key` };
      }
      let displaced: Agent | undefined;
      if ((existing === undefined || !isBusy(existing)) && busy.size >= maxAgents) {
        const victim = agentToDisplace(origin);
        if (victim === undefined) return quota('this relay serves as many agents as it can');
        displaced = victim.agent;
        goOffline(victim);
      }
      if (forgotten !== undefined) forget(forgotten);

      const record = existing ?? createRecord<Agent>({ name, publicKey, origin, lastUsedAt: now() });
      occupy(record, origin);
      const { epoch } = record;
      if (existing === undefined && isWished) {
        wishedByKey.add(publicKey, record);
        // A stranger must not get the name if the process ends right now.
        await save();
      }
      return { ok: true, epoch, displaced };
    },
    async attach(name, epoch, agent) {
      const record = records.get(name);
      if (record === undefined || record.epoch !== epoch) return { accepted: false, replaced: undefined };
      const replaced = record.agent;
      record.agent = agent;
      record.isClaimed = false;
      touch(record);
      return { accepted: true, replaced };
    },
    async find(name) {
      const record = read(name);
      if (record === undefined) return { state: 'unknown' };
      if (record.agent === undefined) return { state: 'offline' };
      record.isUsed = true;
      return { state: 'online', agent: record.agent };
    },
    async release(name, epoch) {
      const record = records.get(name);
      if (record !== undefined && record.epoch === epoch && isBusy(record)) goOffline(record);
    },
  };
}

function createRecord<Agent>(kept: {
  readonly name: string;
  readonly publicKey: string;
  readonly origin: string;
  readonly lastUsedAt: number;
}): NameRecord<Agent> {
  const { name, publicKey, origin, lastUsedAt } = kept;
  const isWished = !isDerivedForm(name);
  return { name, publicKey, origin, lastUsedAt, isWished, epoch: 0, agent: undefined, isClaimed: false, isUsed: false };
}

function quota<Agent>(message: string): ClaimVerdict<Agent> {
  return { ok: false, code: 'quota', message };
}
