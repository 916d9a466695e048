// The cheapest stdio MCP server: it reads and writes without an event loop, so that what a bridge costs is not hidden
// behind what its server costs. One write per message, as every real server does. Not a fixture: it forgives nothing.
import { readSync, writeSync } from 'node:fs';

const chunk = Buffer.allocUnsafe(64 * 1024);
const serverInfo = { name: 'trivial', version: '1.0.0' };

/** Whether it speaks MCP 2026-07-28, and refuses what was before: see trivial-modern-child.js. */
const isModern = process.env['TRIVIAL_ERA'] === 'modern';
const revision = '2026-07-28';
const modern = { resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo } };
const refused = isModern ? 'initialize' : 'server/discover';
const refusal = JSON.stringify(
  isModern
    ? { code: -32022, message: 'unsupported', data: { supported: [revision] } }
    : { code: -32601, message: 'unknown method' },
);

/** What has come of a line that is not complete yet. */
let rest = '';

/** A large result is text of many lines with quotes, as the content of a file would be. */
const largeLine = 'a line of a file that somebody reads, with "quotes" in it, and then the next one\n';

/** Large texts by their length. Each answer is written as JSON anew, as every server has to. @type {Map<number, string>} */
const largeTexts = new Map();

for (let size = readSync(0, chunk); size > 0; size = readSync(0, chunk)) {
  // Byte for byte: a chunk may end within a character. Only the chunk is searched: what a long line has brought so far
  // is not copied again.
  const lines = chunk.toString('latin1', 0, size).split('\n');
  lines[0] = rest + (lines[0] ?? '');
  rest = lines.pop() ?? '';
  for (const line of lines) answer(line);
}

/**
 * @typedef {object} Params
 * @property {string} [protocolVersion]
 * @property {string} [name]
 * @property {{ text?: string, bytes?: number, steps?: number }} [arguments]
 * @property {{ progressToken?: string | number }} [_meta]
 */

/** @param {string} line one message, each byte a character */
function answer(line) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'tools/call' && params?.name === 'progress') reportProgress(params);
  const outcome = method === refused ? `"error":${refusal}` : `"result":${JSON.stringify(resultOf(method, params))}`;
  writeAll(Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${outcome}}\n`, 'latin1'));
}

/**
 * @param {string} method
 * @param {Params | undefined} params
 */
function resultOf(method, params) {
  switch (method) {
    case 'tools/call':
      return { content: [{ type: 'text', text: textOf(params) }], ...(isModern && modern) };
    case 'initialize':
      return {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo,
      };
    case 'tools/list':
      return {
        tools: ['echo', 'length', 'big', 'progress'].map((name) => ({ name, inputSchema: { type: 'object' } })),
        ...(isModern && { ...modern, ttlMs: 0, cacheScope: 'private' }),
      };
    case 'server/discover':
      return { supportedVersions: [revision], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private', ...modern };
    default:
      return {};
  }
}

/** @param {Params | undefined} params */
function textOf(params) {
  const { text = '', bytes = 0 } = params?.arguments ?? {};
  if (params?.name === 'length') return String(text.length);
  return params?.name === 'big' ? largeText(bytes) : text;
}

/** @param {number} length */
function largeText(length) {
  const known = largeTexts.get(length);
  if (known !== undefined) return known;
  const text = largeLine.repeat(Math.ceil(length / largeLine.length)).slice(0, length);
  largeTexts.set(length, text);
  return text;
}

/** @param {Params} params */
function reportProgress({ arguments: { steps = 0 } = {}, _meta: { progressToken } = {} }) {
  if (progressToken === undefined) return;
  const token = JSON.stringify(progressToken);
  for (let step = 1; step <= steps; step++) {
    const params = `{"progressToken":${token},"progress":${step},"total":${steps}}`;
    writeAll(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/progress","params":${params}}\n`, 'latin1'));
  }
}

/** A pipe takes a large answer in parts. @param {Buffer} bytes */
function writeAll(bytes) {
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}
