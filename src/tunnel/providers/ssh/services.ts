import { capabilities, type Capabilities } from '../../capabilities.ts';
import type { LineReader } from '../external/output-event.ts';
import { readLocalhostRunLine, readPinggyLine, readServeoLine, readSishLine, readSrvUsLine } from './readers.ts';

export type SshServiceName = 'ssh' | 'localhost.run' | 'srv.us' | 'pinggy' | 'serveo' | 'sish';

/** What is said to a server, and how what it says is read. */
export interface SshService {
  readonly name: SshServiceName;
  readonly capabilities: Capabilities;
  /** Where it is and as whom to log in, unless the user says otherwise. Without a host it is somebody's own. */
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  /** What to ask for: the part of `-R` in front of where it leads to. */
  readonly remote: string;
  /** Whether `name:` in front of that asks for a name. */
  readonly takesName: boolean;
  readonly command: readonly string[];
  /** Undefined where the server has no dialect. */
  readonly read?: LineReader;
  /** How long after one URL the better one may come, in milliseconds. */
  readonly settleMs: number;
  /** Anybody may come, so nothing that is the user's is shown: no key, no agent, no configuration, no name. */
  readonly isAnonymous: boolean;
  /** Whether it has to be shown a key, where the user names none: then one that is made for it alone. */
  readonly needsKey: boolean;
  /**
   * May let in whoever answers nothing to a question, or an empty password, as ssh does where it finds no terminal, unless in
   * its batch mode.
   */
  readonly asksForPassword: boolean;
}

/** Two lines are written at once, but need not arrive at once. */
const nextLineMs = 500;

/** For those who do not care: whatever stands here is the same for all of us, and no name of the user's. */
const anybody = 'mcp-expose';

const dialects: Readonly<Record<Exclude<SshServiceName, 'pinggy'>, SshService>> = {
  // https://localhost.run/docs: `nokey` is for those without an account and has an empty password, `--output json` is for
  // programs.
  'localhost.run': {
    name: 'localhost.run',
    capabilities: capabilities.localhostRun,
    host: 'localhost.run',
    user: 'nokey',
    remote: '80',
    takesName: false,
    command: ['--output', 'json'],
    read: readLocalhostRunLine,
    settleMs: 0,
    isAnonymous: true,
    needsKey: false,
    asksForPassword: true,
  },
  // https://docs.srv.us: the name follows from the key, so one is needed; the port is the number of the tunnel.
  'srv.us': {
    name: 'srv.us',
    capabilities: capabilities.srvUs,
    host: 'srv.us',
    user: anybody,
    remote: '1',
    takesName: false,
    command: [],
    read: readSrvUsLine,
    settleMs: 0,
    isAnonymous: true,
    needsKey: true,
    asksForPassword: false,
  },
  // https://serveo.net. A key that it does not know it lets in by a question without a question, `keyboard-interactive`
  // (yurt-page/sshtunnel#6).
  serveo: {
    name: 'serveo',
    capabilities: capabilities.serveo,
    host: 'serveo.net',
    user: anybody,
    remote: '80',
    takesName: true,
    command: [],
    read: readServeoLine,
    settleMs: 0,
    isAnonymous: true,
    needsKey: true,
    asksForPassword: true,
  },
  // https://docs.ssi.sh
  sish: {
    name: 'sish',
    capabilities: capabilities.sish,
    remote: '80',
    takesName: true,
    command: [],
    read: readSishLine,
    settleMs: nextLineMs,
    isAnonymous: false,
    needsKey: false,
    asksForPassword: false,
  },
  ssh: {
    name: 'ssh',
    capabilities: capabilities.ssh,
    // A port of the server's choice, on all its addresses, where its GatewayPorts allows that.
    remote: '*:0',
    takesName: false,
    // Waits for the end of its input and says nothing. To a shell the server would say what is new, with links in it.
    command: ['cat'],
    settleMs: 1500,
    isAnonymous: false,
    needsKey: false,
    asksForPassword: false,
  },
};

/**
 * https://pinggy.io/docs: without a token any user will do, and with one it is the user name. `x:https` sends browsers to
 * https, `x:xff` names the client in X-Forwarded-For. Not without a session, in which those are said.
 */
function pinggy(hasToken: boolean): SshService {
  return {
    name: 'pinggy',
    capabilities: hasToken ? capabilities.pinggyPro : capabilities.pinggy,
    host: hasToken ? 'pro.pinggy.io' : 'free.pinggy.io',
    port: 443,
    ...(hasToken ? {} : { user: anybody }),
    remote: '0',
    takesName: false,
    command: ['x:https', 'x:xff'],
    read: readPinggyLine,
    settleMs: nextLineMs,
    isAnonymous: true,
    needsKey: false,
    asksForPassword: true,
  };
}

export function serviceNamed(name: SshServiceName, hasPinggyToken: boolean): SshService {
  return name === 'pinggy' ? pinggy(hasPinggyToken) : dialects[name];
}

/** Hosts whose dialect is known, for whom `--tunnel ssh` leads there. */
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
