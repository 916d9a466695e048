// A relay with room for more agents than the command allows. Run as `node bench/relay.js <agents>`; prints `{"url":…}` once it listens.
/** @type {typeof import('../src/tunnel/relay/server/relay.ts')} */
const { createRelay } = await import(new URL('../dist/tunnel/relay/server/relay.js', import.meta.url).href);

const relay = await createRelay({ port: 0, maxAgents: Number(process.argv[2]) });
console.log(JSON.stringify({ url: relay.url }));
