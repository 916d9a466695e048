// The load generator: an MCP client that costs as little as it can. Runs in the bench process, never in a measured one.
import { openConnection } from './connection.js';

/** @typedef {import('./subjects.js').Bridge} Bridge */
/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./connection.js').Response} Response */

const revision = '2025-11-25';
const modernRevision = '2026-07-28';

/** For a bridge without sessions: as long as a real session id, so that it has as many bytes to read. */
const placeholderSessionId = 'x'.repeat(22);

/** As much of a wrong answer as is shown. */
const shownLength = 200;

/**
 * A message to send: its text, each byte a character, or the parts of a large one.
 * @typedef {string | readonly [string, Buffer, string]} Message
 */

/**
 * @typedef {object} Session
 * @property {() => number} nextId
 * @property {string} envelope what begins the params of a request, with a comma behind it: nothing with a legacy server
 * @property {(connection: Connection, message: Message, onBody?: (part: Buffer) => void) => Promise<Response>} post
 * @property {(connection: Connection) => Promise<void>} end DELETEs it
 */

/**
 * One call and the check of its answer; rejects on a wrong one.
 * @typedef {(session: Session, connection: Connection) => Promise<void>} Work
 */

/**
 * @typedef {object} Tally
 * @property {number} calls
 * @property {number} elapsedMs
 * @property {readonly number[]} latencies of each call, in milliseconds
 */

/** @typedef {{ inFlight: number, ms: number } | { inFlight: number, calls: number }} Amount */

/**
 * @typedef {object} Client
 * @property {(work: Work, amount: Amount) => Promise<Tally>} run
 * repeats the work for so long or so often, so many at a time, each on a connection of its own
 * @property {() => void} close
 */

/**
 * Opens a session for many calls; a modern client has none, and calls `echo` only, which its headers repeat.
 * @param {Bridge} bridge
 * @param {'legacy' | 'modern'} [era]
 * @returns {Promise<Client>}
 */
export async function connect(bridge, era = 'legacy') {
  /** @type {Connection[]} */
  const connections = [openConnection(bridge)];
  const [first = openConnection(bridge)] = connections;
  const session = era === 'modern' ? modernSession(bridge) : await openSession(bridge, first);

  return {
    async run(work, { inFlight, ...amount }) {
      while (connections.length < inFlight) connections.push(openConnection(bridge));
      const startedAt = performance.now();
      const endsAt = 'ms' in amount ? startedAt + amount.ms : Infinity;
      let callsLeft = 'calls' in amount ? amount.calls : Infinity;
      /** @type {number[]} */
      const latencies = [];
      const worker = async (/** @type {Connection} */ connection) => {
        for (let now = performance.now(); now < endsAt && callsLeft-- > 0;) {
          // One after the other; the other workers run beside it.
          // oxlint-disable-next-line no-await-in-loop
          await work(session, connection);
          const doneAt = performance.now();
          latencies.push(doneAt - now);
          now = doneAt;
        }
      };
      try {
        await Promise.all(connections.slice(0, inFlight).map(worker));
      } catch (error) {
        callsLeft = 0;
        throw error;
      }
      return { calls: latencies.length, elapsedMs: performance.now() - startedAt, latencies };
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

/**
 * Opens a session: `initialize` and `notifications/initialized`.
 * @param {Bridge} bridge
 * @param {Connection} connection
 * @returns {Promise<Session>}
 */
export async function openSession(bridge, connection) {
  const sessionId = await initialize(bridge, connection);
  const head = headOf(bridge, `mcp-session-id: ${sessionId}\r\nmcp-protocol-version: ${revision}\r\n`);
  const session = sessionOf(head, '');
  const { status } = await session.post(connection, '{"jsonrpc":"2.0","method":"notifications/initialized"}');
  if (status !== 202) throw new Error(`notifications/initialized was answered with ${status}`);
  return session;
}

/** The envelope of a request (MCP 2026-07-28, "Request Metadata"). */
const modernEnvelope = JSON.stringify({
  'io.modelcontextprotocol/protocolVersion': modernRevision,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
});

/** @param {Bridge} bridge @returns {Session} */
function modernSession(bridge) {
  const standard = `mcp-protocol-version: ${modernRevision}\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n`;
  return sessionOf(headOf(bridge, standard), `"_meta":${modernEnvelope},`);
}

/** @param {string} head of each request @param {string} envelope @returns {Session} */
function sessionOf(head, envelope) {
  let lastId = 0;
  return {
    nextId: () => ++lastId,
    envelope,
    post(via, message, onBody) {
      if (typeof message === 'string') {
        return via.exchange([`${head}content-length: ${message.length}\r\n\r\n${message}`], onBody);
      }
      const [before, large, after] = message;
      const length = before.length + large.length + after.length;
      return via.exchange([`${head}content-length: ${length}\r\n\r\n${before}`, large, after], onBody);
    },
    async end(via) {
      const { status } = await via.exchange([head.replace('POST', 'DELETE') + endOfHead]);
      if (status !== 200 && status !== 204) throw new Error(`DELETE was answered with ${status}`);
    },
  };
}

/**
 * Sends `initialize` and checks its answer.
 * @param {Bridge} bridge
 * @param {Connection} connection
 * @returns {Promise<string>} the session's id
 */
export async function initialize(bridge, connection) {
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  const message = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const head = headOf(bridge, '');
  const response = await connection.exchange([`${head}content-length: ${message.length}\r\n\r\n${message}`]);
  if (response.status !== 200 || answerIn(response)?.result?.serverInfo?.name !== 'trivial') {
    throw wrong('initialize', response);
  }
  return response.header('mcp-session-id') ?? placeholderSessionId;
}

const endOfHead = '\r\n';

/** @param {Bridge} bridge @param {string} session */
function headOf({ hostname, port, path, token }, session) {
  return (
    `POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\n` +
    `content-type: application/json\r\naccept: application/json, text/event-stream\r\n${session}`
  );
}

/**
 * The parsed message of an answer that holds one: JSON, or an event stream of a single event.
 * @param {Response} response
 */
export function answerIn({ header, body }) {
  const text = body.toString('latin1');
  if (header('content-type')?.startsWith('text/event-stream') !== true) return JSON.parse(text);
  // In front of it may be an event without data, to have an id to resume from.
  const start = text.indexOf('data: {') + 'data: '.length;
  return JSON.parse(text.slice(start, text.indexOf('\n', start)));
}

/** @param {string} what @param {Response} response */
export function wrong(what, { status, body }) {
  return new Error(`${what} was answered wrongly: ${status} ${body.toString('latin1', 0, shownLength)}`);
}
