// The load generator. Runs in the bench process, never in a measured one.
import { Agent, request as httpRequest } from 'node:http';

/** @typedef {import('./subjects.js').Bridge} Bridge */

/** Calls that are in flight at a time, each on a connection of its own. */
export const inFlight = 32;

/** A call without an answer for so long is a fault, in milliseconds. */
const callTimeoutMs = 30_000;

/** For a bridge without sessions: as long as a real session id, so that it has as many bytes to read. */
const placeholderSessionId = 'x'.repeat(22);

/**
 * @typedef {object} Client
 * @property {(count: number) => Promise<void>} call makes so many calls, `inFlight` at a time; rejects on a wrong answer
 * @property {() => void} close
 */

/**
 * Opens a session, from `initialize` to `notifications/initialized`.
 * @param {Bridge} bridge
 * @returns {Promise<Client>}
 */
export async function connect(bridge) {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const sessionId = await initialize(bridge, agent);
  let lastId = 0;
  /** @param {object} message */
  const post = (message) => send({ bridge, agent, sessionId, message });

  await post({ jsonrpc: '2.0', method: 'notifications/initialized' });

  async function callOnce() {
    const id = ++lastId;
    const text = `call ${id}, and a few words more so that it looks like a question to a tool`;
    const params = { name: 'echo', arguments: { text } };
    const { status, body } = await post({ jsonrpc: '2.0', id, method: 'tools/call', params });
    const answer = status === 200 ? JSON.parse(body) : undefined;
    if (answer?.id !== id || answer.result?.content?.[0]?.text !== text) {
      throw new Error(`call ${id} was answered wrongly: ${status} ${body.slice(0, 500)}`);
    }
  }

  return {
    async call(count) {
      let left = count;
      const worker = async () => {
        // One after the other; the other workers run beside it.
        // oxlint-disable-next-line no-await-in-loop
        while (left-- > 0) await callOnce();
      };
      await Promise.all(Array.from({ length: inFlight }, worker));
    },
    close: () => agent.destroy(),
  };
}

/**
 * Sends `initialize` and checks its answer.
 * @param {Bridge} bridge
 * @param {Agent | false} [agent] false: a connection for this request alone
 * @returns {Promise<string>} the session's id
 */
export async function initialize(bridge, agent = false) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  const message = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
  const { status, body, headers } = await send({ bridge, agent, message });
  if (status !== 200 || JSON.parse(body).result?.serverInfo?.name !== 'trivial') {
    throw new Error(`initialize was answered wrongly: ${status} ${body.slice(0, 500)}`);
  }
  return String(headers['mcp-session-id'] ?? placeholderSessionId);
}

/**
 * POSTs one message.
 * @param {{ bridge: Bridge, agent: Agent | false, sessionId?: string, message: object }} options
 * @returns {Promise<{ status: number | undefined, headers: import('node:http').IncomingHttpHeaders, body: string }>}
 */
function send({ bridge: { hostname, port, path, token }, agent, sessionId, message }) {
  const body = JSON.stringify(message);
  const headers = {
    Authorization: `Bearer ${token}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    'Content-Length': Buffer.byteLength(body),
    ...(sessionId === undefined ? {} : { 'Mcp-Session-Id': sessionId }),
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ agent, hostname, port, path, method: 'POST', timeout: callTimeoutMs, headers });
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (/** @type {string} */ chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error(`no answer within ${callTimeoutMs} ms`)));
    request.end(body);
  });
}
