// A network between mcp-expose and its relay in which every packet can be lost: a network namespace where the system allows one,
// otherwise a proxy that carries nothing.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { startCuttingProxy } from './chaos-proxy.ts';
import { atEnd } from './lifetime.ts';
import { freePort } from './loopback-server.ts';

export interface LossyNetwork {
  /** Options of the relay. */
  readonly relayArgs: readonly string[];
  readonly relayPort: number;
  /** The relay's URL for mcp-expose. */
  readonly relayUrl: string;
  /** The command that runs mcp-expose on the other side of the network. */
  readonly through: readonly string[];
  /** The same URL for clients, which are on the side of the relay. */
  besideRelay(url: string): string;
  /** Loses every packet until the returned function is called. */
  loseAll(): () => void;
}

let isReasonKnown = false;

/** Lives as long as the test file. */
export async function startLossyNetwork(): Promise<LossyNetwork> {
  const relayPort = await freePort();
  try {
    return startNamespace(relayPort);
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim() : String(error);
    if (!isReasonKnown) process.stdout.write(`packets are lost in a proxy, not in a network namespace: ${reason}\n`);
    isReasonKnown = true;
    return await startProxy(relayPort);
  }
}

function startNamespace(relayPort: number): LossyNetwork {
  const name = `mcpx${randomBytes(4).toString('hex')}`;
  const [near, far] = [`${name}a`, `${name}b`];
  // Of 198.18.0.0/15, which no real network uses (RFC 2544).
  const [high = 0, low = 0] = randomBytes(2);
  const address = (host: number): string => `198.18.${high}.${(low & 0xfc) + host}`;
  run('nft', '--version');
  run('ip', 'netns', 'add', name);
  atEnd('file', () => run('ip', 'netns', 'delete', name));
  run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
  run('ip', 'address', 'add', `${address(1)}/30`, 'dev', near);
  run('ip', 'link', 'set', near, 'up');
  run('ip', '-n', name, 'address', 'add', `${address(2)}/30`, 'dev', far);
  run('ip', '-n', name, 'link', 'set', far, 'up');
  run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  const nft = (...words: string[]): void => run('ip', 'netns', 'exec', name, 'nft', ...words);
  const losses = `table inet loss { ${dropped('input', 'iifname', far)}; ${dropped('output', 'oifname', far)}; }`;
  // Before the first test relies on it.
  nft(losses);
  nft('delete', 'table', 'inet', 'loss');
  return {
    relayArgs: ['--host', address(1)],
    relayPort,
    relayUrl: `http://${address(1)}:${relayPort}`,
    through: ['ip', 'netns', 'exec', name],
    besideRelay: (url) => url,
    loseAll() {
      nft(losses);
      return () => nft('delete', 'table', 'inet', 'loss');
    },
  };
}

/** A chain of nftables that drops what goes through an interface. */
function dropped(hook: string, direction: string, device: string): string {
  return `chain ${hook} { type filter hook ${hook} priority 0; ${direction} ${device} drop; }`;
}

/** TCP as a network without packets shows it: connections that stay open and say nothing. */
async function startProxy(relayPort: number): Promise<LossyNetwork> {
  const proxy = await startCuttingProxy(relayPort, { lifetime: 'file' });
  const relayUrl = `http://127.0.0.1:${proxy.port}`;
  return {
    relayArgs: ['--public-url', relayUrl],
    relayPort,
    relayUrl,
    through: [],
    besideRelay: (url) => url.replace(relayUrl, `http://127.0.0.1:${relayPort}`),
    loseAll: () => proxy.stall(),
  };
}

/** @throws what the command prints. */
function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
}
