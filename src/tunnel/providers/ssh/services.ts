import { capabilities, type Capabilities } from '../../capabilities.ts';
import type { LineReader } from '../external/output-event.ts';
import { readLocalhostRunLine, readPinggyLine, readServeoLine, readSishLine, readSrvUsLine } from './readers.ts';

export type SshServiceName = 'ssh' | 'localhost.run' | 'srv.us' | 'pinggy' | 'serveo' | 'sish';

/** How to use a service or a server, and how to read its output. */
export interface SshService {
  readonly name: SshServiceName;
  readonly capabilities: Capabilities;
  /** Where to connect and as whom, unless the user specifies it. Without a host, the user has to. */
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  /** What to ask for: the part of `-R` before the local address. */
  readonly remote: string;
  /** Whether a `name:` before that requests a name. */
  readonly takesName: boolean;
  readonly command: readonly string[];
  /** Undefined without a known dialect. */
  readonly read?: LineReader;
  /** How long after one URL a better one may come, in milliseconds. */
  readonly settleMs: number;
  /** Open to everybody, so nothing of the user is sent: no key, agent, configuration or user name. */
  readonly isAnonymous: boolean;
  /** Whether a key is needed, so that one is created for this service alone unless the user specifies one. */
  readonly needsKey: boolean;
  /** May accept an empty answer to a question, or an empty password, which ssh sends without a terminal unless in batch mode. */
  readonly asksForPassword: boolean;
}

/** Two lines that are written together need not arrive together. */
const nextLineMs = 500;

/** User name for services that ignore it: the same for all of our users. */
const anybody = 'mcp-expose';

/** What most services have in common. */
const usual = {
  takesName: false,
  command: [],
  settleMs: 0,
  isAnonymous: true,
  needsKey: false,
  asksForPassword: false,
};

const dialects: Readonly<Record<Exclude<SshServiceName, 'pinggy'>, Omit<SshService, 'name' | 'capabilities'>>> = {
  // https://localhost.run/docs: `nokey` is for users without an account and has an empty password, `--output json` is for
  // programs.
  'localhost.run': {
    ...usual,
    host: 'localhost.run',
    user: 'nokey',
    remote: '80',
    command: ['--output', 'json'],
    read: readLocalhostRunLine,
    asksForPassword: true,
  },
  // https://docs.srv.us: the name is derived from the key, so one is needed; the port is the number of the tunnel.
  'srv.us': { ...usual, host: 'srv.us', user: anybody, remote: '1', read: readSrvUsLine, needsKey: true },
  // https://serveo.net. It accepts an unknown key through `keyboard-interactive` without a question (yurt-page/sshtunnel#6).
  serveo: {
    ...usual,
    host: 'serveo.net',
    user: anybody,
    remote: '80',
    takesName: true,
    read: readServeoLine,
    needsKey: true,
    asksForPassword: true,
  },
  // https://docs.ssi.sh
  sish: {
    ...usual,
    remote: '80',
    takesName: true,
    read: readSishLine,
    settleMs: nextLineMs,
    isAnonymous: false,
  },
  ssh: {
    ...usual,
    // A port of the server's choice, on all its addresses if its GatewayPorts allows that.
    remote: '*:0',
    // Waits for the end of its input and prints nothing. A login shell would print a message of the day with links.
    command: ['cat'],
    settleMs: 1500,
    isAnonymous: false,
  },
};

/**
 * https://pinggy.io/docs: any user name works without a token, and the token is the user name. `x:https` redirects browsers to
 * https, `x:xff` sets X-Forwarded-For. Both are commands of a session, so one is needed.
 */
function pinggy(hasToken: boolean): SshService {
  return {
    ...usual,
    name: 'pinggy',
    capabilities: hasToken ? capabilities.pinggyPro : capabilities.pinggy,
    host: hasToken ? 'pro.pinggy.io' : 'free.pinggy.io',
    port: 443,
    ...(hasToken ? {} : { user: anybody }),
    remote: '0',
    command: ['x:https', 'x:xff'],
    read: readPinggyLine,
    settleMs: nextLineMs,
    asksForPassword: true,
  };
}

export function serviceNamed(name: SshServiceName, hasPinggyToken: boolean): SshService {
  return name === 'pinggy' ? pinggy(hasPinggyToken) : { name, capabilities: capabilities[name], ...dialects[name] };
}

/** The service at a host, so that `--tunnel ssh` knows its dialect. */
export function serviceAt(host: string): SshServiceName | undefined {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (/^(?:free|pro|a|eu|us|ap|br|au)\.pinggy\.io$/.test(name)) return 'pinggy';
  switch (name) {
    case 'localhost.run':
    case 'ssh.localhost.run':
      return 'localhost.run';
    case 'srv.us':
      return 'srv.us';
    case 'serveo.net':
      return 'serveo';
    default:
      return undefined;
  }
}
