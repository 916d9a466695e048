// The floor: the least that Node can do between HTTP and a stdio server. One shared child, no checks, no sessions, no
// credential, no limits; an answer is JSON, or an event stream when progress comes before it.
// Run as `node bench/floor-bridge.js <server.js> [--describe-first]`; prints `{"port":…}` once it listens. With the option,
// it first starts the server to ask what it is and what tools it has, and waits until that process has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const newline = 0x0a;
const digitZero = 0x30;
const idMark = '"id":';
const tokenMark = '"progressToken":';

/** Up to here copying a message costs less than handing it on in two pieces. */
const shortBytes = 4096;

/**
 * Responses by JSON-RPC id modulo the length, since the bench counts its ids up. A Map would cost more: its outgrown
 * tables keep what was in them, and each other, alive until the next full garbage collection.
 * @type {(import('node:http').ServerResponse | undefined)[]}
 */
const waiting = Array.from({ length: 1024 });

const [script = '', option] = process.argv.slice(2);
if (option === '--describe-first') await describe();

const child = startServer();
child.once('exit', () => process.exit());

/** @type {Buffer[]} the parts of a line that is not complete yet */
const parts = [];
child.stdout.on('data', (/** @type {Buffer} */ chunk) => {
  let start = 0;
  for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
    const part = chunk.subarray(start, end);
    answer(parts.length === 0 ? part : Buffer.concat([...parts.splice(0), part]));
    start = end + 1;
  }
  if (start < chunk.length) parts.push(chunk.subarray(start));
});

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on('data', (/** @type {Buffer} */ chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const id = numberBehind(idMark, body);
    if (id === undefined) response.writeHead(202).end();
    else waiting[id % waiting.length] = response;
    write(child.stdin, body);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') console.log(JSON.stringify({ port: address?.port }));
});

function startServer() {
  return spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function describe() {
  const described = startServer();
  const exited = once(described, 'exit');
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'floor', version: '0' } };
  described.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`);
  await once(described.stdout, 'data');
  described.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  described.stdin.write('{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n');
  await once(described.stdout, 'data');
  described.stdin.end();
  await exited;
}

/** @param {Buffer} line */
function answer(line) {
  const id = numberBehind(idMark, line);
  if (id === undefined) {
    tellProgress(line);
    return;
  }
  const response = waiting[id % waiting.length];
  if (response === undefined) return;
  waiting[id % waiting.length] = undefined;
  if (response.headersSent) {
    response.end(eventOf(line), 'latin1');
    return;
  }
  response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(line.length)]);
  // A short body in one piece with the head is one buffer less to hand to the system; a long one is not copied.
  if (line.length <= shortBytes) response.end(line.toString('latin1'), 'latin1');
  else response.end(line);
}

/** The bench's progress tokens are the ids of their calls, as those of the official SDK. @param {Buffer} line */
function tellProgress(line) {
  const token = numberBehind(tokenMark, line);
  const response = token === undefined ? undefined : waiting[token % waiting.length];
  if (response === undefined) return;
  if (!response.headersSent) response.writeHead(200, ['Content-Type', 'text/event-stream']);
  response.write(eventOf(line), 'latin1');
}

/** @param {Buffer} line */
function eventOf(line) {
  return `event: message\ndata: ${line.toString('latin1')}\n\n`;
}

/**
 * @param {import('node:stream').Writable} stdin
 * @param {Buffer} line
 */
function write(stdin, line) {
  if (line.length <= shortBytes) {
    stdin.write(`${line.toString('latin1')}\n`, 'latin1');
    return;
  }
  stdin.cork();
  stdin.write(line);
  stdin.write('\n');
  stdin.uncork();
}

/**
 * The number behind the first such mark. Good enough for what the bench sends.
 * @param {string} mark
 * @param {Buffer} message
 */
function numberBehind(mark, message) {
  const start = message.indexOf(mark) + mark.length;
  if (start < mark.length) return undefined;
  let number = 0;
  for (let at = start; at < message.length; at++) {
    const digit = (message[at] ?? 0) - digitZero;
    if (digit < 0 || digit > 9) break;
    number = number * 10 + digit;
  }
  return number;
}
