#!/usr/bin/env node
// Says in plain words what an old Node would say in a stack trace, then hands over. No logic here.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`mcp-expose: error: needs Node 20.19 or newer, this is ${process.version}`);
  console.error('mcp-expose: hint: install a current Node from https://nodejs.org and try again');
  process.exit(1);
}
const { enableCompileCache } = await import('node:module');
enableCompileCache?.(); // Node >= 22.8
const { main } = await import('../dist/cli/main.js');
await main(process.argv.slice(2));
