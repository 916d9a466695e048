import { Command, Option } from './commander.ts';

import type { TunnelChoice } from '../expose/expose.ts';
import { defaultTunnelOrder, type TunnelKind } from '../expose/options.ts';
import { version } from '../version.ts';
import { repeat } from './environment-twins.ts';
import {
  parseCount,
  parseDomain,
  parseDuration,
  parseHeader,
  parseHttpUrl,
  parseList,
  parsePort,
  parseRemote,
  parseSize,
  parseTunnel,
  parseTunnelOrder,
  tunnelChoices,
  parseUrl,
  parseVariable,
  parseWholeNumber,
} from './values.ts';

/** Options that concern what is printed, the same for every command. */
export interface OutputFlags {
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly color: boolean;
}

export interface ExposeFlags extends OutputFlags {
  readonly stdio?: string;
  readonly http?: string;
  readonly sse?: string;
  readonly config?: string;
  readonly server?: readonly string[];
  readonly watch?: true;
  readonly cwd?: string;
  readonly env?: ReadonlyMap<string, string>;
  readonly inheritEnv?: true;
  readonly startTimeout?: number;
  readonly upstreamHeader?: ReadonlyMap<string, string>;
  readonly upstreamCa?: string;
  readonly upstreamTimeout?: number;
  readonly allowPlainHttp?: true;
  readonly isolation: 'session' | 'shared';
  readonly warm?: number;
  readonly restart: 'on-exit' | 'never';
  readonly tokenFile?: string;
  readonly auth: boolean;
  readonly allowUnauthenticatedPublic?: true;
  readonly tunnel: TunnelChoice;
  readonly tunnelOrder?: readonly TunnelKind[];
  readonly relay?: string;
  readonly name?: string;
  readonly lanAddress?: readonly string[];
  readonly publicUrl?: string;
  readonly ssh?: string;
  readonly sshKey?: string;
  readonly sshRemote?: string;
  readonly tunnelPort?: number;
  readonly resolve?: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly domain?: string;
  readonly allowOrigin?: readonly string[];
  readonly maxBody?: number;
  readonly maxMessage?: number;
  readonly maxSessions?: number;
  readonly idleTimeout?: number;
}

export interface RelayFlags extends OutputFlags {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  readonly domain?: string;
  readonly state?: string;
}

export interface ProgramActions {
  readonly expose: (command: Command) => Promise<void>;
  readonly relay: (command: Command) => Promise<void>;
}

const exposeExamples = `Examples:
  Share a folder, with a public URL where a tunnel can be found:
    $ mcp-expose --stdio "npx -y @modelcontextprotocol/server-filesystem ."

  The same without looking for a tunnel, on this machine only:
    $ mcp-expose --tunnel none -- npx -y @modelcontextprotocol/server-filesystem .

  Share it with colleagues on the same network:
    $ mcp-expose --tunnel lan -- npx -y @modelcontextprotocol/server-filesystem .

  Give it a public URL through a relay that you run (see mcp-expose relay --help):
    $ mcp-expose --relay https://relay.example -- npx -y @modelcontextprotocol/server-filesystem .

  Through any SSH server that may forward ports:
    $ mcp-expose --tunnel ssh --ssh me@host.example -- npx -y @modelcontextprotocol/server-filesystem .

  Share the servers of a client's configuration, each at /NAME/mcp:
    $ mcp-expose --config ~/.cursor/mcp.json --server files --server git

  Bring your own token, and let a script read the result:
    $ MCP_EXPOSE_TOKEN=… mcp-expose --json -- uvx mcp-server-git
`;

const exposeNotes = `
Tunnels:
  auto uses the relay of --relay, or else the first of these that works within 20 s:
  ${defaultTunnelOrder.join(', ')}
  Nothing is installed or logged in to. docs/tunnels.md tells who can read what.

Environment:
  MCP_EXPOSE_TOKEN sets the bearer token; without it and --token-file, one is made.
  Every option has a twin: --max-body is MCP_EXPOSE_MAX_BODY, --no-auth is MCP_EXPOSE_NO_AUTH.

Exit codes:
  0 ended as asked, 1 runtime failure, 2 usage, 3 the server failed to start, 4 the tunnel failed,
  128+n ended by signal n. The first Ctrl+C lets running calls finish for up to 10 s,
  the second does not wait.`;

const relayExamples = `Examples:
  Try it on one machine:
    $ mcp-expose relay --port 7900
    $ mcp-expose --relay http://127.0.0.1:7900 --stdio "npx -y @modelcontextprotocol/server-filesystem ."

  Behind a proxy that terminates TLS, names in the path (https://relay.example/NAME/mcp):
    $ mcp-expose relay --host 127.0.0.1 --port 7900 --public-url https://relay.example

  The same with names in the host (https://NAME.relay.example/mcp), which hosted clients need:
    $ mcp-expose relay --port 7900 --public-url https://relay.example --domain relay.example
`;

/** The command line: what there is, what it is called and what it takes. Does nothing by itself. */
export function createProgram(actions: ProgramActions): Command {
  const program = new Command('mcp-expose')
    .description('Make a local MCP server reachable: bridge, token and tunnel in one process.')
    .usage('[options]\n       mcp-expose [options] -- <command> [args]\n       mcp-expose relay [options]')
    .version(version)
    .helpOption('-h, --help', 'show this help')
    .addHelpCommand(false)
    .allowExcessArguments(false)
    // The options of `relay` are its own, though some have the same names.
    .enablePositionalOptions()
    .addHelpText('before', exposeExamples)
    .addHelpText('after', exposeNotes);

  program
    .optionsGroup('Server:')
    .option('--stdio <command>', 'the command that starts the server; or write it behind --')
    .addOption(new Option('--http <url>', 'or call a Streamable HTTP server').argParser(parseHttpUrl))
    .addOption(new Option('--sse <url>', 'or call a server of the older HTTP+SSE transport').argParser(parseHttpUrl))
    .option('--config <file>', 'or take the servers of a configuration file (mcpServers, or servers)')
    .addOption(
      repeat(
        new Option('--server <name>', 'of the configuration, only this one; may be repeated').argParser(parseList),
      ),
    )
    .option('--watch', 'follow changes of the configuration file')
    .option('--cwd <folder>', 'where the server runs')
    .addOption(
      repeat(
        new Option(
          '--env <NAME=value>',
          'a variable for the server, or NAME to pass on yours; may be repeated',
        ).argParser(parseVariable),
      ),
    )
    .option('--inherit-env', 'give the server the whole environment, not only a safe few variables')
    .addOption(
      new Option('--start-timeout <duration>', 'how long the server may take to start (default: 60s)').argParser(
        parseDuration,
      ),
    )
    .addOption(
      new Option('--isolation <kind>', 'a server for each session, or one that all of them share')
        .choices(['session', 'shared'])
        .default('session'),
    )
    .addOption(
      new Option(
        '--warm <n>',
        'idle servers to keep ready beside those in use (default: 1 once two have run side by side)',
      ).argParser(parseWholeNumber),
    )
    .addOption(
      new Option('--restart <when>', 'what to do when a server ends by itself')
        .choices(['on-exit', 'never'])
        .default('on-exit'),
    )
    .addOption(
      repeat(
        new Option(
          '--upstream-header <"Name: value">',
          'with --http or --sse, a header to send; ${env:NAME} stands for a variable; may be repeated',
        ).argParser(parseHeader),
      ),
    )
    .option('--upstream-ca <file>', 'with --http or --sse, trust the certificates of this file too')
    .addOption(
      new Option('--upstream-timeout <duration>', 'how long connecting to it may take (default: 10s)').argParser(
        parseDuration,
      ),
    )
    .option('--allow-plain-http', 'with --http or --sse, call other machines without encryption')
    .optionsGroup('Access:')
    .option('--token-file <file>', 'read the bearer token from a file that only you can read; - is standard input')
    .option('--no-auth', 'ask for no token')
    .option('--allow-unauthenticated-public', 'with --no-auth, also where more than this machine can connect')
    .addOption(
      repeat(
        new Option('--allow-origin <origin>', 'let web pages of this origin use the server; may be repeated').argParser(
          parseList,
        ),
      ),
    )
    .optionsGroup('Tunnel:')
    .addOption(
      new Option('--tunnel <kind>', 'how others reach the server')
        .choices(tunnelChoices)
        .argParser(parseTunnel)
        .default('auto'),
    )
    .addOption(
      new Option('--tunnel-order <kinds>', 'what auto tries, with commas between (default: see below)').argParser(
        parseTunnelOrder,
      ),
    )
    .addOption(new Option('--relay <url>', 'the relay to use').argParser(parseUrl))
    .option(
      '--name <name>',
      'the name to ask the relay or service for (default at a relay: one that belongs to your key)',
    )
    .addOption(
      new Option(
        '--public-url <url>',
        'what the world calls the tunnel, or with --tunnel none the proxy in front; with ngrok and tailscale, the URL to ask for',
      ).argParser(parseUrl),
    )
    .option('--ssh <[user@]host[:port]>', 'with --tunnel ssh and the services over it, the server to use')
    .option('--ssh-key <file>', 'the private key to show to it')
    .addOption(
      new Option('--ssh-remote <[bind:]port>', 'where it is to listen (default: a port of its choice)').argParser(
        parseRemote,
      ),
    )
    .addOption(
      repeat(
        new Option(
          '--lan-address <address>',
          'with --tunnel lan, listen on this address only; may be repeated',
        ).argParser(parseList),
      ),
    )
    .addOption(
      new Option(
        '--tunnel-port <port>',
        'the port on this machine that the tunnel leads to (default: a free one)',
      ).argParser(parsePort),
    )
    .addOption(
      repeat(
        new Option(
          '--resolve <host:port:address>',
          'the address of a host of the tunnel, instead of asking for it; may be repeated',
        ).argParser(parseList),
      ),
    )
    .optionsGroup('Listen:')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .addOption(new Option('--port <port>', 'the port to listen on; 0 is a free one').argParser(parsePort).default(0))
    .addOption(
      new Option('--domain <domain>', 'a host name under which a proxy of yours leads here').argParser(parseDomain),
    )
    .addOption(new Option('--max-body <size>', 'largest request (default: 16MiB)').argParser(parseSize))
    .addOption(new Option('--max-message <size>', 'largest message of a server (default: 64MiB)').argParser(parseSize))
    .addOption(
      new Option('--max-sessions <n>', 'sessions at a time, for each server (default: 32)').argParser(parseCount),
    )
    .addOption(
      new Option('--idle-timeout <duration>', 'end a session without any message for so long (default: 30m)').argParser(
        parseDuration,
      ),
    )
    .action((_flags: unknown, command: Command) => actions.expose(command));
  addOutputOptions(program);

  const relay = program
    .command('relay')
    .summary('run a relay')
    .description('Run a relay: it gives URLs to the servers that mcp-expose shares through it.')
    .usage('[options]')
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments(false)
    .addHelpText('before', relayExamples)
    .optionsGroup('Listen:')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .addOption(new Option('--port <port>', 'the port to listen on; 0 is a free one').argParser(parsePort).default(7900))
    .addOption(
      new Option('--public-url <url>', 'what the world calls this relay (default: http://host:port)').argParser(
        parseUrl,
      ),
    )
    .option('--domain <domain>', 'give out NAME.<domain> as well; needs a wildcard DNS record')
    .option(
      '--state <file>',
      'where the relay keeps which key has which name (default: a file in ~/.config/mcp-expose/relays)',
    )
    .action((_flags: unknown, command: Command) => actions.relay(command));
  addOutputOptions(relay);
  return program;
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('--json', 'print one JSON object per line')
    .option('--quiet', 'print only the result and errors')
    .option('--verbose', 'print more of what happens')
    .option('--no-color', 'no colours');
}
