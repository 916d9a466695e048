// Attacks a relay in each way that `bench/attacks` knows, at twice the rates at which they once succeeded, with an honest agent
// and client beside them:
//
//     npm run build && node bench/attacks.js [--seconds <n>] [attack…]
//
// Exit code 1 when an honest call failed, an honest agent could not come in, its p95 grew beyond three times that of a quiet
// relay, or the relay's memory did not come back; 2 when a measurement could not be made.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { freePort } from './free-port.js';
import { connect } from './load.js';
import { endAll, startNode } from './processes.js';
import { neededKibibytes } from './readings.js';
import { trivialChild } from './subjects.js';
import { echo } from './works.js';

/** An address that is not the honest ones'. */
const stranger = ['--origin', '203.0.113.66'];

/** @type {ReadonlyMap<string, { script: string, args: readonly string[], isAtName?: boolean }>} */
const attacks = new Map([
  ['upgrades', { script: 'upgrades.js', args: [] }],
  ['unfinished bodies', { script: 'unfinished-bodies.js', args: [], isAtName: true }],
  ['idle handshakes', { script: 'idle-handshakes.js', args: stranger }],
  ['idle handshakes, one address', { script: 'idle-handshakes.js', args: [] }],
  ['agent places', { script: 'agent-places.js', args: stranger }],
  ['agent places, one address', { script: 'agent-places.js', args: [] }],
  ['wished names', { script: 'wished-names.js', args: stranger }],
  ['frame floods', { script: 'frame-flood.js', args: stranger }],
]);

/** A p95 beyond this multiple of the quiet one, or so many KiB that do not come back, count as harm. */
const maxSlowdown = 3;
const maxMoreKibibytes = 64 * 1024;
/** Before the memory is looked at: the longest that a socket is kept waiting. */
const settleMs = 6000;
/** Between two calls of the honest client, in milliseconds: a person's client, not a load. */
const callIntervalMs = 20;

const bin = fileURLToPath(new URL('../bin/mcp-expose.js', import.meta.url));
const scriptOf = (/** @type {string} */ name) => fileURLToPath(new URL(`attacks/${name}`, import.meta.url));

process.exitCode = await main();

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '20' } },
  });
  const names = positionals.length === 0 ? [...attacks.keys()] : positionals;
  let isHarmed = false;
  try {
    for (const name of names) {
      // oxlint-disable-next-line no-await-in-loop -- they would disturb each other
      if (await attack(name, Number(values.seconds) * 1000)) isHarmed = true;
    }
  } catch (error) {
    console.error(error);
    return 2;
  } finally {
    await endAll();
  }
  return isHarmed ? 1 : 0;
}

/**
 * @param {string} name
 * @param {number} ms how long it lasts
 * @returns {Promise<boolean>} whether it did harm
 */
async function attack(name, ms) {
  const plan = attacks.get(name);
  if (plan === undefined) throw new Error(`no attack ${name}, there are: ${[...attacks.keys()].join(', ')}`);
  const home = mkdtempSync(join(tmpdir(), 'mcp-expose-bench-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const state = join(home, 'names.json');
  // Its own URL, so that agents whom a proxy seems to forward can prove themselves for it.
  const relayArgs = [bin, 'relay', '--json', '--port', String(port), '--public-url', url, '--state', state];
  const relay = await startNode(relayArgs, { collectable: true });
  const share = await startShare(url, []);
  const client = await connect(share);

  // Starts beside it cost what they cost, attacked or not.
  const [quiet, failedBefore] = await Promise.all([work(client, ms / 2), comeAndGo(url, ms / 2)]);
  const before = await neededKibibytes(relay);
  const attacker = await startNode([
    scriptOf(plan.script),
    plan.isAtName === true ? share.publicUrl : url,
    ...plan.args,
  ]);
  const [attacked, failedStarts] = await Promise.all([work(client, ms), comeAndGo(url, ms)]);
  await attacker.end();
  await pause(settleMs);
  const after = await neededKibibytes(relay);
  client.close();
  await share.end();
  await relay.end();
  rmSync(home, { recursive: true });

  console.log(
    `${name}: p95 ${quiet.p95.toFixed(1)} ms quiet, ${attacked.p95.toFixed(1)} ms attacked; ` +
      `${attacked.failures} of ${attacked.calls} calls and ${failedStarts} starts failed; ` +
      `${toMebibytes(before)} MiB before, ${toMebibytes(after)} MiB after`,
  );
  const isSlow = attacked.p95 > maxSlowdown * quiet.p95;
  return (
    quiet.failures + failedBefore + attacked.failures + failedStarts > 0 || isSlow || after - before > maxMoreKibibytes
  );
}

/**
 * An honest agent with a name of its own.
 * @param {string} relayUrl
 * @param {readonly string[]} options
 */
async function startShare(relayUrl, options) {
  const args = [bin, '--json', '--relay', relayUrl, ...options, '--', ...trivialChild];
  const { ready, ...running } = await startNode(args);
  if (ready['event'] !== 'ready') throw new Error(`it did not start: ${JSON.stringify(ready)}`);
  const publicUrl = String(ready['publicUrl']);
  const { hostname, port, pathname: path } = new URL(publicUrl);
  return { ...running, publicUrl, hostname, port, path, token: String(ready['token']) };
}

/**
 * Calls one after the other, at a person's pace.
 * @param {import('./load.js').Client} client
 * @param {number} ms
 */
async function work(client, ms) {
  /** @type {number[]} */
  const latencies = [];
  let failures = 0;
  for (const until = performance.now() + ms; performance.now() < until;) {
    /* oxlint-disable no-await-in-loop */
    try {
      const { latencies: each } = await client.run(echo, { inFlight: 1, calls: 1 });
      latencies.push(...each);
    } catch {
      failures += 1;
    }
    await pause(callIntervalMs);
    /* oxlint-enable no-await-in-loop */
  }
  latencies.sort((one, other) => one - other);
  return {
    calls: latencies.length + failures,
    failures,
    p95: latencies[Math.floor(latencies.length * 0.95)] ?? Infinity,
  };
}

/**
 * An honest agent with a wished name that comes and goes, with the same key.
 * @param {string} relayUrl
 * @param {number} ms
 * @returns {Promise<number>} how often it could not come in
 */
async function comeAndGo(relayUrl, ms) {
  let failures = 0;
  for (const until = performance.now() + ms; performance.now() < until;) {
    /* oxlint-disable no-await-in-loop */
    try {
      const share = await startShare(relayUrl, ['--name', `honest-${process.pid}`]);
      await share.end();
    } catch {
      failures += 1;
    }
    /* oxlint-enable no-await-in-loop */
  }
  return failures;
}

/** @param {number} kibibytes */
function toMebibytes(kibibytes) {
  return Math.round(kibibytes / 1024);
}
