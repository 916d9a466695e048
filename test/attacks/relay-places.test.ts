// One stranger, one address: whoever is honest comes in, keeps its name, and is right all the time.
import { expect, test } from 'vitest';
import { type Exposed, launchExpose, type Relay, startBehindRelay, startRelay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { startAttack } from './attacker.ts';

/** How long the honest ones work beside the attack, in milliseconds. */
const attackMs = 2_000;

const echo = (text: string) => ({ name: 'echo', arguments: { text } });

/** Calls without a pause until the time is over; throws at the first answer that is not right. */
async function work({ url, token }: Exposed, ms: number): Promise<number> {
  const session = await openSession(url, token);
  const until = performance.now() + ms;
  let calls = 0;
  while (performance.now() < until) {
    calls += 1;
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    expect(textOf(await session.call(calls + 1, 'tools/call', echo(`call ${calls}`)))).toBe(`call ${calls}`);
  }
  await session.end();
  return calls;
}

const named = (relay: Relay, name: string, home?: string) =>
  startBehindRelay(relay, { server: fixture('echo'), args: ['--name', name], ...(home === undefined ? {} : { home }) });

test.each<[string, string, string[]]>([
  ['idle-handshakes', 'open', ['--origin', '203.0.113.66']],
  // Nothing tells them from the honest ones.
  ['idle-handshakes', 'open', []],
  ['agent-places', 'welcome', ['--origin', '203.0.113.66']],
  ['wished-names', 'welcome', []],
])(
  'under %s (%s) %j, an agent that is there, one that comes, and one that comes back',
  { timeout: 60_000 },
  async (attack, struck, args) => {
    const port = await freePort();
    // Known as such to agents that a proxy forwards, too: only then may they prove themselves for it.
    const relay = await startRelay({ port, args: ['--public-url', `http://127.0.0.1:${port}`] });
    const home = temporaryDirectory();
    const away = await named(relay, 'away', home);
    await away.stop();
    const there = await startBehindRelay(relay, { server: fixture('echo') });
    const attacker = await startAttack(attack, relay.url, args);
    const working = work(there, attackMs);
    const comes = await startBehindRelay(relay, { server: fixture('echo') });
    const duplicateKey = launchExpose({ server: fixture('echo'), args: ['--relay', relay.url, '--name', 'away'] });
    expect(await duplicateKey.exited).toBe(4);
    expect(duplicateKey.stderr()).toContain('the name away belongs to another key');
    const back = await named(relay, 'away', home);
    expect(back.publicUrl).toBe(away.publicUrl);
    const calls = await Promise.all([working, work(comes, 500), work(back, 500)]);
    expect(Math.min(...calls)).toBeGreaterThan(0);
    // It was no attack if the relay had turned all of it away.
    expect((await attacker.end())[struck]).toBeGreaterThan(3);
    expect(there.events().filter(({ event }) => event === 'tunnel')).toEqual([]);
  },
);
