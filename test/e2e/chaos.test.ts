// Servers die, connections break, clients come and go as they like, all at random and under load: whoever asked gets one
// answer, nobody gets another one's, and in the end nothing is left of it.
import { randomBytes, randomInt } from 'node:crypto';
import { expect, onTestFailed, test } from 'vitest';
import { runStreamableClient } from '../harness/chaos-client.ts';
import { runLegacyClient } from '../harness/chaos-legacy-client.ts';
import { createStorm, type Storm } from '../harness/chaos-storm.ts';
import { startSubject, subjects, type ChaosWorld } from '../harness/chaos-subjects.ts';
import { readMemory, readVitals, type Vitals } from '../harness/chaos-vitals.ts';
import { eventually, within } from '../harness/eventually.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { createRandom, type Random } from '../harness/random.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';

/** The same seed makes the same choices; what comes of them is still up to the machine. */
const seed = Number(process.env['CHAOS_SEED'] ?? randomInt(2 ** 31));
/** All storms together. */
const stormMs = (Number(process.env['CHAOS_SECONDS'] ?? 60) * 1000) / subjects.length;
const warmUpMs = 2500;

/** Of each transport. */
const streamableClients = 7;
const legacyClients = 3;

/** What calls bring that are made outside of storms. */
const lookMarker = 'mk-0000000000000000';

/** Sockets and pipes that come and go: those of the look itself, and of a process that is being started. */
const maxMoreDescriptors = 4;
/** Code that has run for the first time, and caches of the runtime, in bytes. The big answers are 125 KB each. */
const maxMoreHeld = 4 * 1024 * 1024;
/** The system does not get back at once all that is free, in bytes. */
const maxMoreResident = 96 * 1024 * 1024;

function expectHappened({ counts }: Storm, what: string[]): void {
  expect([...counts.keys()]).toEqual(expect.arrayContaining(what));
}

/**
 * Runs the clients, and beside them what does harm, until the time is over and everything under way has ended.
 * @param until what must have happened before: a very busy machine takes longer.
 */
async function rage(
  world: ChaosWorld,
  { random, ms, harm, until = [] }: { random: Random; ms: number; harm?: ChaosWorld['harm']; until?: string[] },
): Promise<Storm> {
  const storm = createStorm();
  const { url, token } = world.exposed;
  const other = () => createRandom(random.below(2 ** 31));
  const client = () => ({ url, token, hearsLogsOfOthers: world.isShared, storm, random: other() });
  const all = Promise.all([
    ...Array.from({ length: streamableClients }, () => runStreamableClient(client())),
    ...Array.from({ length: legacyClients }, () => runLegacyClient(client())),
    harm?.({ storm, random: other() }),
  ]);
  const isOver = storm.pause(ms).then(() => eventually(() => expectHappened(storm, until), 60_000));
  await Promise.race([all, isOver.catch(() => {})]);
  storm.end();
  await within(120_000, 'all clients to end', all);
  for (const id of storm.abandoned) {
    // oxlint-disable-next-line no-await-in-loop -- in no hurry
    await send(url, { method: 'DELETE', headers: clientHeaders(token, [['Mcp-Session-Id', id]]) });
  }
  return storm;
}

async function expectService({ exposed }: ChaosWorld): Promise<void> {
  const session = await openSession(exposed.url, exposed.token);
  const call = async (id: number, name: string, more: object = {}) =>
    textOf(await session.call(id, 'tools/call', { name, arguments: { marker: lookMarker, n: id, ...more } }));
  expect(await call(2, 'echo')).toBe(`${lookMarker} echo 2`);
  expect(await call(3, 'count', { steps: 2, pauseMs: 1 })).toBe(`${lookMarker} count 3`);
  expect(await call(4, 'big', { lines: 1000 })).toBe(`${lookMarker} big 4\n`.repeat(1000));
  await session.end();
}

/** Waits until nothing is under way any more: all sessions have ended, and so have their servers. */
function settled(world: ChaosWorld, maxDescriptors = Infinity): Promise<Vitals> {
  const { processesAtRest: processes, childrenAtRest } = world;
  const [fewest, most] = childrenAtRest;
  return eventually(async () => {
    const vitals = await readVitals(world);
    expect(vitals).toMatchObject({ status: 'ready', sessions: 0, processes });
    expect(vitals.children).toBeGreaterThanOrEqual(fewest);
    expect(vitals.children).toBeLessThanOrEqual(most);
    expect(vitals.fileDescriptors).toBeLessThanOrEqual(maxDescriptors);
    return vitals;
  }, 30_000);
}

/** How often what has happened, for who wants to know more. */
const told = ({ counts }: Storm): string[] =>
  Array.from(counts, ([what, times]) => `${what}: ${times}`).toSorted((a, b) => a.localeCompare(b));

/** Without these, a storm would have shown nothing. An ask that may be for several clients is put to none of them. */
const mustHappen = [
  'answered',
  'progress',
  'call cancelled',
  'call dropped',
  'call resumed',
  'session ended',
  'malformed',
];

test.each(subjects)(
  'a storm over %s ends as it should for everybody, and leaves nothing behind',
  async (subject) => {
    const random = createRandom(seed);
    const token = randomBytes(24).toString('base64url');
    const world = await startSubject(subject, token);
    const { exposed } = world;
    let happened: string[] = [];
    onTestFailed(() => {
      process.stderr.write([`CHAOS_SEED=${seed}`, ...happened, exposed.stderr()].join('\n'));
    });
    const calm = await rage(world, { random, ms: warmUpMs });
    expect(calm.violations).toEqual([]);
    await expectService(world);
    const before = await settled(world);
    const memoryBefore = await readMemory(world);

    const until = [...mustHappen, ...world.mustHappen];
    const storm = await rage(world, { random, ms: stormMs, harm: world.harm, until });
    happened = told(storm);
    expect(storm.violations).toEqual([]);
    expectHappened(storm, until);

    await expectService(world);
    await settled(world, before.fileDescriptors + maxMoreDescriptors);
    const memoryAfter = await readMemory(world);
    expect(memoryAfter.held - memoryBefore.held).toBeLessThan(maxMoreHeld);
    expect(memoryAfter.resident - memoryBefore.resident).toBeLessThan(maxMoreResident);

    const calls = world.executed().filter((line) => !line.startsWith(lookMarker));
    expect(calls.length).toBeGreaterThan(0);
    expect(new Set(calls).size).toBe(calls.length);

    expect(exposed.process.exitCode).toBeNull();
    const output = exposed.stdout() + exposed.stderr();
    expect(output).not.toMatch(/internal|uncaught|unhandled|TypeError|RangeError|\n {4}at /i);
    expect(output).not.toContain(token);
  },
  stormMs + 240_000,
);
