// The cheapest stdio MCP server: it reads and writes without an event loop, so that what a bridge costs is not hidden
// behind what its server costs. One write per answer, as every real server does. Not a fixture: it forgives nothing.
import { readSync, writeSync } from 'node:fs';

const chunk = Buffer.allocUnsafe(64 * 1024);
/** What has come of a line that is not complete yet. */
let rest = '';

for (let size = readSync(0, chunk); size > 0; size = readSync(0, chunk)) {
  // Byte for byte: a chunk may end within a character.
  const lines = (rest + chunk.toString('latin1', 0, size)).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) answer(line);
}

/** @param {string} line one message, each byte a character */
function answer(line) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result = JSON.stringify(resultOf(method, params));
  writeAll(Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}\n`, 'latin1'));
}

/**
 * @param {string} method
 * @param {{ protocolVersion?: string, arguments?: { text?: string } } | undefined} params
 */
function resultOf(method, params) {
  switch (method) {
    case 'tools/call':
      return { content: [{ type: 'text', text: params?.arguments?.text ?? '' }] };
    case 'initialize':
      return {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'trivial', version: '1.0.0' },
      };
    case 'tools/list':
      return { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] };
    default:
      return {};
  }
}

/** A pipe takes a large answer in parts. @param {Buffer} bytes */
function writeAll(bytes) {
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}
