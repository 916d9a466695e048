// A real sshd on loopback: any key may come in, and every session runs fixtures/tunnels/ssh-forced-command.js, through which
// the test says what the server of a service would say. https://man.openbsd.org/sshd_config
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { eventually, within } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import { descendants, isAlive, killIfAlive, type ProcessInfo } from '../../../harness/processes.ts';
import { projectRoot, temporaryDirectory } from '../../../harness/program.ts';
import { fieldsOf } from '../../relay/world.ts';

/** Bound for every wait, in milliseconds. */
const patienceMs = 15_000;

const program = '/usr/sbin/sshd';

export interface SshdOptions {
  /** What every session says at once. */
  readonly greeting?: string;
  /** More lines of its configuration; of two values of one option the first counts, so these win. */
  readonly config?: readonly string[];
  /** The public keys that may come in; all unless given. */
  readonly authorizedKeys?: readonly string[];
  readonly port?: number;
  /** That of another one, which it stands for. */
  readonly hostKey?: string;
}

/** A session that is open, or was. */
export interface Session {
  /** What the client asked to be run; undefined when it asked for a shell. */
  readonly command: string | undefined;
  say(text: string): void;
  /** The command ends, the connection need not. */
  end(): void;
}

export interface Sshd {
  readonly port: number;
  /** The file of its private key. */
  readonly hostKey: string;
  /** For `--ssh`. */
  readonly destination: string;
  /** Every session so far. */
  readonly sessions: readonly Session[];
  /** Resolves with the session of this number, from 0. */
  session(index: number): Promise<Session>;
  /** What it has logged so far. */
  log(): string;
  /** Kills what serves the connections that are open, as a crash or a reboot would. */
  dropConnections(): Promise<void>;
  /** Ends it, connections and all; the port is free afterwards. */
  stop(): Promise<void>;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  if (!existsSync(program)) throw new Error(`${program} is missing: install openssh-server`);
  // Its privileges are separated there; only a system that starts it by itself makes that folder.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const folder = temporaryDirectory();
  const port = options.port ?? (await freePort());
  const socketFile = path.join(folder, 'sessions');
  const sessions = await listenForSessions(socketFile, options.greeting ?? '');
  const hostKey = options.hostKey ?? path.join(folder, 'host_key');
  if (options.hostKey === undefined) makeKey(hostKey);
  const command = [
    process.execPath,
    path.join(projectRoot, 'fixtures', 'tunnels', 'ssh-forced-command.js'),
    socketFile,
  ];
  writeFileSync(path.join(folder, 'authorized_keys'), (options.authorizedKeys ?? []).join('\n'));
  const anyKey = options.authorizedKeys === undefined;
  const config = [
    ...(options.config ?? []),
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    // A port that is free at one of the two loopback addresses would be as good as any to it.
    'AddressFamily inet',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${anyKey ? 'none' : path.join(folder, 'authorized_keys')}`,
    // Whatever key is shown is one that it knows.
    ...(anyKey ? ['AuthorizedKeysCommand /bin/echo %t %k', `AuthorizedKeysCommandUser ${userInfo().username}`] : []),
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    'MaxStartups 100',
    'LogLevel VERBOSE',
    // A shell that sshd starts reads the .bashrc of its home: what a user has there takes time, and may leave a lock when it is killed.
    `SetEnv HOME=${folder}`,
    `ForceCommand ${command.map((word) => `'${word}'`).join(' ')}`,
  ];
  const configFile = path.join(folder, 'sshd_config');
  writeFileSync(configFile, `${config.join('\n')}\n`);

  const child = spawn(program, ['-D', '-e', '-f', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  const { pid = 0 } = child;
  const gone = once(child, 'exit');
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (logged += text));

  async function dropConnections(serving: readonly ProcessInfo[] = descendants(pid)): Promise<void> {
    for (const served of serving) killIfAlive(served.pid);
    await eventually(() => {
      if (serving.some(isAlive)) throw new Error(`sshd still serves a connection; it logged:\n${logged}`);
    }, patienceMs);
  }

  async function stop(): Promise<void> {
    const serving = descendants(pid);
    if (child.exitCode === null && child.signalCode === null) killIfAlive(pid);
    await within(patienceMs, 'sshd to end', gone);
    await dropConnections(serving);
  }

  atEnd('test', stop);
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`sshd ended with ${child.exitCode}:\n${logged}`);
    await connectOnce(port);
  }, patienceMs);
  return {
    port,
    hostKey,
    destination: `${userInfo().username}@127.0.0.1:${port}`,
    sessions,
    log: () => logged,
    dropConnections: () => dropConnections(),
    stop,
    session: (index) =>
      eventually(() => {
        const session = sessions[index];
        if (session === undefined) throw new Error(`no session ${index}; sshd logged:\n${logged}`);
        return session;
      }, patienceMs),
  };
}

/** A key pair of two files, the private one without a passphrase. Returns the public one as a line. */
export function makeKey(file: string): string {
  const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`ssh-keygen failed: ${made.stderr}`);
  const shown = spawnSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  return shown.stdout.trim();
}

/** SHA256:… of a key, as sshd logs it. */
export function fingerprintOf(file: string): string {
  return spawnSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' }).stdout.split(' ')[1] ?? '';
}

async function listenForSessions(socketFile: string, greeting: string): Promise<Session[]> {
  const sessions: Session[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    createInterface(socket).once('line', (line) => {
      const { command } = fieldsOf(line);
      sessions.push({
        command: typeof command === 'string' ? command : undefined,
        say: (text) => void socket.write(text),
        end: () => void socket.end(),
      });
      socket.write(greeting);
    });
  });
  server.listen(socketFile);
  await once(server, 'listening');
  atEnd('test', () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return sessions;
}

async function connectOnce(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
