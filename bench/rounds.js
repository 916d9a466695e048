import { floor, ours } from './subjects.js';

/** @typedef {import('./subjects.js').Subject} Subject */

/**
 * Something started that can be measured again and again.
 * @template T
 * @typedef {object} Meter
 * @property {() => Promise<T>} measure
 * @property {() => Promise<void>} [end]
 */

/**
 * What came of the rounds: the results of ours, of the floor if it took part, and of each peer, or why there are none; `of`
 * gives those of any other subject.
 * @template T
 * @typedef {object} Outcome
 * @property {(subject: Subject) => readonly T[]} of
 * @property {readonly T[]} ours
 * @property {readonly T[]} floor
 * @property {ReadonlyMap<string, readonly T[] | string>} peers
 */

/** As much of a peer's failure as is told. */
const failureLength = 160;

/**
 * Measures each subject in turn, round after round: what disturbs the machine for a while disturbs all of them.
 * @template T
 * @param {readonly Subject[]} subjects
 * @param {number} rounds
 * @param {(subject: Subject) => Promise<Meter<T>>} createMeter
 * @returns {Promise<Outcome<T>>}
 * @throws when a subject fails that is no peer
 */
export async function inTurn(subjects, rounds, createMeter) {
  /** @type {Map<Subject, { meter: Meter<T>, results: T[] }>} */
  const running = new Map();
  /** @type {Map<string, string>} */
  const failures = new Map();

  /** @param {Subject} subject @param {() => Promise<void>} step */
  async function attempt(subject, step) {
    try {
      await step();
    } catch (error) {
      if (subject.isPeer !== true) throw error;
      failures.set(subject.name, (error instanceof Error ? error.message : String(error)).slice(0, failureLength));
      await running.get(subject)?.meter.end?.();
      running.delete(subject);
    }
  }

  /* oxlint-disable no-await-in-loop -- one at a time */
  for (const subject of subjects) {
    await attempt(subject, async () => {
      running.set(subject, { meter: await createMeter(subject), results: [] });
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const [subject, { meter, results }] of running) {
      await attempt(subject, async () => void results.push(await meter.measure()));
    }
  }
  /* oxlint-enable no-await-in-loop */
  await Promise.all([...running.values()].map(async ({ meter }) => meter.end?.()));
  const resultsOf = (/** @type {Subject} */ subject) => running.get(subject)?.results ?? [];
  const peers = subjects
    .filter(({ isPeer }) => isPeer === true)
    .map((peer) => /** @type {const} */ ([peer.name, failures.get(peer.name) ?? resultsOf(peer)]));
  return { of: resultsOf, ours: resultsOf(ours), floor: resultsOf(floor), peers: new Map(peers) };
}

/**
 * One number for each subject of an outcome, as the fields of a row.
 * @template T
 * @param {Outcome<T>} outcome
 * @param {(results: readonly T[]) => number} summarize
 * @returns {Pick<import('./row.js').Row, 'floor' | 'ours' | 'peers'>}
 */
export function columnsOf(outcome, summarize) {
  const peers = [...outcome.peers].map(
    ([name, results]) => /** @type {const} */ ([name, typeof results === 'string' ? results : summarize(results)]),
  );
  return {
    ...(outcome.floor.length === 0 ? {} : { floor: summarize(outcome.floor) }),
    ours: summarize(outcome.ours),
    peers: new Map(peers),
  };
}

/** The results of each round, to print above the table. @param {readonly number[]} values @param {number} [digits] */
export function listOf(values, digits = 1) {
  return values.map((value) => value.toFixed(digits)).join(' ');
}
