// Ours behind a tunnel: our own, and what it is compared with. Each tunnel has a bridge of its own.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from './free-port.js';
import { startNode, startProgram } from './processes.js';
import { ours, trivialChild } from './subjects.js';
import { temporaryFolder } from './temporary-folder.js';

/** @typedef {import('./subjects.js').Bridge} Bridge */
/** @typedef {import('./subjects.js').Subject} Subject */
/** @typedef {import('./processes.js').Running} Running */

const bin = fileURLToPath(new URL('../bin/mcp-expose.js', import.meta.url));
const tcpProxy = fileURLToPath(new URL('tcp-proxy.js', import.meta.url));
const sshd = '/usr/sbin/sshd';

/**
 * @typedef {object} Tunnel
 * @property {number} relayPort
 * @property {string} url what the agent dials: the relay, or a proxy in front of it
 * @property {readonly string[]} [options] of the agent
 * @property {Record<string, string>} [env] of the agent
 */

/**
 * A relay and an agent, called through the relay's URL; the pid is that of the agent.
 * @param {Tunnel} tunnel
 * @returns {Promise<Bridge>}
 */
export async function startTunnel({ relayPort, url, options = [], env = {} }) {
  const folder = temporaryFolder();
  const state = join(folder, 'names.json');
  const relayArgs = [bin, 'relay', '--json', '--port', String(relayPort), '--public-url', url, '--state', state];
  const relay = await startNode(relayArgs);
  const agentArgs = [bin, '--json', '--relay', url, ...options, '--', ...trivialChild];
  // Its key is kept in that folder.
  const agent = await startNode(agentArgs, { env: { ...env, XDG_CONFIG_HOME: folder } });
  if (agent.ready['event'] !== 'ready') throw new Error(`the agent did not start: ${JSON.stringify(agent.ready)}`);
  const { pathname: path } = new URL(String(agent.ready['publicUrl']));
  const token = String(agent.ready['token']);
  const end = () => endInOrder([agent, relay]);
  return { ...agent, hostname: '127.0.0.1', port: String(relayPort), path, token, end };
}

/** @type {Subject} */
export const viaRelay = {
  name: 'ours',
  async start({ options = [] } = {}) {
    const relayPort = await freePort();
    return startTunnel({ relayPort, url: `http://127.0.0.1:${relayPort}`, options });
  },
};

/** The agent dials a proxy that terminates TLS, as it does over the internet; what calls it does not. @type {Subject} */
export const viaRelayOverTls = {
  name: 'ours over TLS',
  async start() {
    const { certificate, key } = makeCertificate();
    const relayPort = await freePort();
    const proxy = await startNode([tcpProxy, String(relayPort), certificate, key]);
    const url = `https://127.0.0.1:${String(proxy.ready['port'])}`;
    const bridge = await startTunnel({ relayPort, url, env: { NODE_EXTRA_CA_CERTS: certificate } });
    return { ...bridge, end: () => endInOrder([bridge, proxy]) };
  },
};

/** The least that a tunnel in Node does. @type {Subject} */
export const viaProxy = {
  name: 'proxy',
  async start() {
    const bridge = await ours.start();
    const proxy = await startNode([tcpProxy, bridge.port]);
    return { ...bridge, port: String(proxy.ready['port']), end: () => endInOrder([proxy, bridge]) };
  },
};

/** A reverse tunnel of OpenSSH, through a server of its own. @type {Subject} */
export const viaSsh = {
  name: 'ssh',
  async start() {
    if (!existsSync(sshd)) throw new Error(`${sshd} is missing: install openssh-server`);
    const bridge = await ours.start();
    const server = await startSshd();
    const port = await freePort();
    const forward = `127.0.0.1:${port}:127.0.0.1:${bridge.port}`;
    const options = Object.entries(clientOptions).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const destination = `ssh://${userInfo().username}@127.0.0.1:${server.port}`;
    // Not -N: without a session sshd leaves Nagle's algorithm on, and a result of 1 MiB takes 40 ms longer.
    const args = ['-F', 'none', '-i', server.clientKey, ...options, '-R', forward, destination, 'cat'];
    const client = await startProgram('ssh', args, { port, stdin: 'pipe' });
    return { ...bridge, port: String(port), end: () => endInOrder([client, server, bridge]) };
  },
};

const clientOptions = {
  BatchMode: 'yes',
  ExitOnForwardFailure: 'yes',
  IdentitiesOnly: 'yes',
  IdentityAgent: 'none',
  StrictHostKeyChecking: 'no',
  UserKnownHostsFile: '/dev/null',
};

/** An sshd with its defaults, which knows one key. */
async function startSshd() {
  // Its privileges are separated there; only a system that starts it by itself makes that folder.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const folder = temporaryFolder();
  const [hostKey, clientKey] = [join(folder, 'host_key'), join(folder, 'client_key')];
  for (const file of [hostKey, clientKey]) make('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${clientKey}.pub`,
    'PidFile none',
    'StrictModes no',
    'PasswordAuthentication no',
    'PermitRootLogin yes',
    // The shell that runs a command would read the .bashrc there.
    `SetEnv HOME=${folder}`,
  ];
  const configFile = join(folder, 'sshd_config');
  writeFileSync(configFile, `${config.join('\n')}\n`);
  return { ...(await startProgram(sshd, ['-D', '-e', '-f', configFile], { port })), port, clientKey };
}

function makeCertificate() {
  const folder = temporaryFolder();
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  make('openssl', ['req', '-x509', ...curve, '-days', '2', ...subject, '-keyout', key, '-out', certificate]);
  return { certificate, key };
}

/** @param {string} command @param {readonly string[]} args */
function make(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
}

/** Who dials ends before whom it dials. @param {readonly Pick<Running, 'end'>[]} processes */
async function endInOrder(processes) {
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const { end } of processes) await end();
}
