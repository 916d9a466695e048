// Agents that are connected and have nothing to do, each with a key of its own.
// Run as `node bench/idle-agents.js <relay URL> <agents>`; prints `{"agents":…}` once all of them are connected.
/** @type {typeof import('../src/tunnel/providers/relay.ts')} */
const { createRelayProvider } = await import(new URL('../dist/tunnel/providers/relay.js', import.meta.url).href);
/** @type {typeof import('../src/tunnel/relay/protocol/identity.ts')} */
const { createIdentity } = await import(new URL('../dist/tunnel/relay/protocol/identity.js', import.meta.url).href);

const atATime = 20;

const [relayUrl = '', count] = process.argv.slice(2);
const agents = Number(count);

const target = {
  handler() {},
  localPort: 0,
  listen: () => Promise.reject(new Error('a relay needs no listener')),
};

let begun = 0;
async function joinOneByOne() {
  while (begun++ < agents) {
    const provider = createRelayProvider({ relayUrl, keys: createIdentity(), env: {} });
    // oxlint-disable-next-line no-await-in-loop -- the others join beside it
    await provider.open(target, {
      signal: new AbortController().signal,
      onStatus({ state, reason }) {
        throw new Error(`an agent is ${state}: ${reason}`);
      },
      onWarning: console.error,
    });
  }
}

await Promise.all(Array.from({ length: atATime }, joinOneByOne));
console.log(JSON.stringify({ agents }));
