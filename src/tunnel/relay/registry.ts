import { isDerivedForm } from '../link/names.ts';

/** How long a name is kept for its key after its last use, in milliseconds. */
export const nameKeptMs: number = 24 * 60 * 60 * 1000;
/** Names that are remembered, online or not; about 300 bytes each. */
export const defaultMaxNames = 20_000;
/**
 * Wished names that are kept for one origin (`claimOrigin`) while they are offline; without it one address could claim
 * all names that a relay remembers and so lock everybody else out for nameKeptMs. More than anybody uses by hand.
 */
const maxKeptPerOrigin = 16;
/** Names that are online at one time. */
export const defaultMaxAgents = 1_000;

export type ClaimVerdict =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly code: 'name_taken' | 'quota'; readonly message: string };

export type Found<Agent> =
  | { readonly state: 'online'; readonly agent: Agent }
  | { readonly state: 'offline' }
  | { readonly state: 'unknown' };

/** Which key has which name, and which agent serves it. Asynchronous, so that several relays can share one later. */
export interface Registry<Agent> {
  /**
   * Gives `name` to `publicKey` under a new epoch, unless another key has it or the relay is full. `origin` is who the
   * name is counted for: of more than maxKeptPerOrigin wished names that are offline, the oldest is forgotten.
   */
  claim(name: string, publicKey: string, origin: string): Promise<ClaimVerdict>;
  /**
   * Puts the agent of a claim online. Returns the agent that it replaces, for the caller to close; `accepted` is false
   * when a newer claim came first.
   */
  attach(name: string, epoch: number, agent: Agent): Promise<{ accepted: boolean; replaced: Agent | undefined }>;
  find(name: string): Promise<Found<Agent>>;
  /** Ends a claim. Does nothing once a newer epoch has the name. */
  release(name: string, epoch: number): Promise<void>;
}

interface NameRecord<Agent> {
  readonly publicKey: string;
  origin: string;
  epoch: number;
  agent: Agent | undefined;
  /** Epochs that are claimed and neither attached nor released; counted as agents. */
  isClaimed: boolean;
  lastUsedAt: number;
}

export interface RegistryOptions {
  readonly maxAgents?: number;
  readonly maxNames?: number;
  /** Milliseconds of wall-clock time. */
  readonly now?: () => number;
}

/** A registry in memory, for one relay process. The Map's order is that of the last use, so the oldest is evicted first. */
export function createRegistry<Agent>(options: RegistryOptions = {}): Registry<Agent> {
  const maxAgents = options.maxAgents ?? defaultMaxAgents;
  const maxNames = options.maxNames ?? defaultMaxNames;
  const now = options.now ?? Date.now;
  const records = new Map<string, NameRecord<Agent>>();
  /** The wished names that are offline, by origin, the oldest first. */
  const keptNames = new Map<string, Set<string>>();
  let busyNames = 0;

  const isBusy = (record: NameRecord<Agent>): boolean => record.agent !== undefined || record.isClaimed;
  const isExpired = (record: NameRecord<Agent>): boolean => !isBusy(record) && now() - record.lastUsedAt > nameKeptMs;

  const read = (name: string): NameRecord<Agent> | undefined => {
    const record = records.get(name);
    if (record === undefined || !isExpired(record)) return record;
    forget(name, record);
    return undefined;
  };

  const unkeep = (name: string, { origin }: NameRecord<Agent>): void => {
    const names = keptNames.get(origin);
    names?.delete(name);
    if (names?.size === 0) keptNames.delete(origin);
  };

  const forget = (name: string, record: NameRecord<Agent>): void => {
    records.delete(name);
    unkeep(name, record);
  };

  /** Notes that a wished name went offline, and lets the oldest one of its origin give way. */
  const keep = (name: string, { origin }: NameRecord<Agent>): void => {
    // A derived name locks nobody out.
    if (isDerivedForm(name)) return;
    const names = keptNames.get(origin) ?? new Set();
    keptNames.set(origin, names.add(name));
    const [oldest] = names;
    if (names.size <= maxKeptPerOrigin || oldest === undefined) return;
    names.delete(oldest);
    records.delete(oldest);
  };

  const touch = (name: string, record: NameRecord<Agent>): void => {
    record.lastUsedAt = now();
    records.delete(name);
    records.set(name, record);
  };

  /** Forgets one name that nobody serves: an expired one, else a derived one, which no other key can take meanwhile. */
  const makeRoom = (): boolean => {
    for (const [name, record] of records) {
      if (isBusy(record) || (!isExpired(record) && !isDerivedForm(name))) continue;
      forget(name, record);
      return true;
    }
    return false;
  };

  return {
    async claim(name, publicKey, origin) {
      const existing = read(name);
      if (existing !== undefined && existing.publicKey !== publicKey) {
        return { ok: false, code: 'name_taken', message: `the name ${name} belongs to another key` };
      }
      if (existing === undefined || !isBusy(existing)) {
        if (busyNames >= maxAgents) return full('this relay serves as many agents as it can');
        if (existing === undefined && records.size >= maxNames && !makeRoom()) {
          return full('this relay remembers as many names as it can');
        }
        busyNames += 1;
      }
      if (existing !== undefined) unkeep(name, existing);
      const record = existing ?? { publicKey, origin, epoch: 0, agent: undefined, isClaimed: false, lastUsedAt: 0 };
      record.origin = origin;
      record.epoch += 1;
      record.isClaimed = true;
      touch(name, record);
      return { ok: true, epoch: record.epoch };
    },
    async attach(name, epoch, agent) {
      const record = records.get(name);
      if (record === undefined || record.epoch !== epoch) return { accepted: false, replaced: undefined };
      const replaced = record.agent;
      record.agent = agent;
      record.isClaimed = false;
      touch(name, record);
      return { accepted: true, replaced };
    },
    async find(name) {
      const record = read(name);
      if (record === undefined) return { state: 'unknown' };
      return record.agent === undefined ? { state: 'offline' } : { state: 'online', agent: record.agent };
    },
    async release(name, epoch) {
      const record = records.get(name);
      if (record === undefined || record.epoch !== epoch || !isBusy(record)) return;
      record.agent = undefined;
      record.isClaimed = false;
      busyNames -= 1;
      touch(name, record);
      keep(name, record);
    },
  };
}

function full(message: string): ClaimVerdict {
  return { ok: false, code: 'quota', message };
}
