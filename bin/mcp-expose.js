#!/usr/bin/env node
// Says in plain words what Node would say in a stack trace, then hands over. No logic here.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`mcp-expose: error: needs Node 20.19 or newer, this is ${process.version}`);
  console.error('mcp-expose: hint: install a current Node from https://nodejs.org and try again');
  process.exit(1);
}
const { enableCompileCache } = await import('node:module');
enableCompileCache?.(); // Node >= 22.8
const { main } = await import('../dist/cli/main.js').catch((error) => {
  if (error.code !== 'EMFILE' && error.code !== 'ENFILE') throw error;
  console.error('mcp-expose: error: too many open files');
  console.error('mcp-expose: hint: raise the limit of open files, which ulimit -n shows: ulimit -n 65536');
  process.exit(1);
});
await main(process.argv.slice(2));
