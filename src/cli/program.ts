import { Argument, Command, InvalidArgumentError, Option } from './commander.ts';

import { optionEntries, partsOf } from '../expose/option-table.ts';
import { auditOptions, outputOptions, relayOptions, tokenOptions } from '../expose/command-options.ts';
import { longOf, type OptionSpec } from '../expose/option-spec.ts';
import { InvalidValue } from '../expose/option-values.ts';
import { defaultTunnelOrder } from '../expose/options.ts';
import { version } from '../version.ts';

/** The output options, the same for every command. */
export interface OutputFlags {
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly color: boolean;
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
  readonly token: (action: TokenAction, name: string | undefined, command: Command) => Promise<void>;
  readonly audit: (file: string, command: Command) => Promise<void>;
}

const exposeExamples = `Examples:
  Share a folder at a public URL:
    $ mcp-expose --stdio "npx -y @modelcontextprotocol/server-filesystem ."

  On this machine only, without a tunnel:
    $ mcp-expose --tunnel none -- npx -y @modelcontextprotocol/server-filesystem .

  With colleagues on the same network:
    $ mcp-expose --tunnel lan -- npx -y @modelcontextprotocol/server-filesystem .

  Through a relay that you run (see mcp-expose relay --help):
    $ mcp-expose --relay https://relay.example -- npx -y @modelcontextprotocol/server-filesystem .

  Through any SSH server that forwards ports:
    $ mcp-expose --tunnel ssh --ssh me@host.example -- npx -y @modelcontextprotocol/server-filesystem .

  The servers of a client's configuration, each at /NAME/mcp:
    $ mcp-expose --config ~/.cursor/mcp.json --server files --server git

  With your own token, for a script:
    $ MCP_EXPOSE_TOKEN=… mcp-expose --json -- uvx mcp-server-git
`;

const exposeNotes = `
Tunnels:
  auto uses the relay of --relay, or else the first of these that works within 20 s:
  ${defaultTunnelOrder.join(', ')}
  It installs nothing and logs in nowhere. Who can read the traffic: docs/tunnels.md

Environment:
  MCP_EXPOSE_TOKEN sets the bearer token; without it and --token-file, a new one is generated.
  MCP_EXPOSE_OIDC_CLIENT_SECRET sets the client secret for --oidc-issuer.
  Every option can also be set by a variable: --max-body by MCP_EXPOSE_MAX_BODY, --no-auth by
  MCP_EXPOSE_NO_AUTH.

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

  Names in the host as well (https://NAME.relay.example/mcp), which hosted clients need:
    $ mcp-expose relay --port 7900 --public-url https://relay.example --domain relay.example
`;

const tokenExamples = `Examples:
  A token for a colleague, for one day:
    $ mcp-expose token add anna --expires 24h

  One that allows only some tools:
    $ mcp-expose token add ben --allow-tool 'read_*' --allow-tool list_directory

  End it now, with the sessions that use it:
    $ mcp-expose token revoke anna
`;

const auditExamples = `Examples:
  What was refused or failed since yesterday:
    $ mcp-expose audit audit.jsonl --since 24h --summary

  Everything that the token anna wrote:
    $ mcp-expose audit audit.jsonl --caller anna --tool 'write_*'
`;

/** What `mcp-expose token` can do. */
export const tokenActions = ['list', 'add', 'revoke', 'rotate'] as const;

export type TokenAction = (typeof tokenActions)[number];

/** The commands and their options, from the option tables. */
export function createProgram(actions: ProgramActions): Command {
  const program = new Command('mcp-expose')
    .description('Make a local MCP server reachable: bridge, token and tunnel in one process.')
    .usage(
      '[options]\n       mcp-expose [options] -- <command> [args]\n       mcp-expose relay [options]\n       mcp-expose token <action> [name] [options]\n       mcp-expose audit <file> [options]',
    )
    .version(version)
    .helpOption('-h, --help', 'show this help')
    .addHelpCommand(false)
    .allowExcessArguments(false)
    // `relay` has its own options, some with the same names.
    .enablePositionalOptions()
    .addHelpText('before', exposeExamples)
    .addHelpText('after', exposeNotes)
    .action((_flags: unknown, command: Command) => actions.expose(command));
  for (const [key, spec] of optionEntries()) addOption(program, titleOf(partsOf(key)[0]), spec);
  for (const spec of outputOptions) addOption(program, titleOf('output'), spec);

  const relay = program
    .command('relay')
    .summary('run a relay')
    .description('Run a relay: it gives URLs to the servers that mcp-expose exposes through it.')
    .usage('[options]')
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments(false)
    .addHelpText('before', relayExamples)
    .action((_flags: unknown, command: Command) => actions.relay(command));
  for (const spec of relayOptions) addOption(relay, titleOf('listen'), spec);
  for (const spec of outputOptions) addOption(relay, titleOf('output'), spec);

  const token = program
    .command('token')
    .summary('list or change the tokens of a run')
    .description('List or change the tokens of mcp-expose while it runs. add and rotate print the new token.')
    .usage('<action> [name] [options]')
    .addArgument(new Argument('<action>', 'what to do').choices(tokenActions))
    .addArgument(new Argument('[name]', 'name of the token, except for list'))
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments(false)
    .addHelpText('before', tokenExamples)
    .action((action: TokenAction, name: string | undefined, _flags: unknown, command: Command) =>
      actions.token(action, name, command),
    );
  for (const spec of tokenOptions) addOption(token, titleOf('token'), spec);
  for (const spec of outputOptions) addOption(token, titleOf('output'), spec);

  const audit = program
    .command('audit')
    .summary('print an audit file')
    .description('Print a file of --audit: one line for each call and each decision about access.')
    .usage('<file> [options]')
    .addArgument(new Argument('<file>', 'the file that --audit wrote'))
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments(false)
    .addHelpText('before', auditExamples)
    .action((file: string, _flags: unknown, command: Command) => actions.audit(file, command));
  for (const spec of auditOptions) addOption(audit, titleOf('filter'), spec);
  for (const spec of outputOptions) addOption(audit, titleOf('output'), spec);
  return program;
}

function titleOf(group: string): string {
  return `${group.slice(0, 1).toUpperCase()}${group.slice(1)}:`;
}

function addOption(command: Command, title: string, spec: OptionSpec): void {
  const { flag, description, parse, choices, defaultValue } = spec;
  const option = new Option(flag, description).helpGroup(title);
  if (choices !== undefined) option.choices(choices);
  if (parse !== undefined) option.argParser((value, previous: unknown) => parseWith(parse, value, previous));
  if (defaultValue !== undefined) option.default(defaultValue);
  command.addOption(option);
}

function parseWith(parse: NonNullable<OptionSpec['parse']>, value: string, previous: unknown): unknown {
  try {
    return parse(value, previous);
  } catch (error) {
    throw error instanceof InvalidValue ? new InvalidArgumentError(error.message) : error;
  }
}

/** The name under which commander stores an option: `maxBody` for `--max-body`, `auth` for `--no-auth`. */
export function attributeOf(spec: OptionSpec): string {
  return longOf(spec)
    .replace(/^--(?:no-)?/, '')
    .replaceAll(/-(.)/g, (_match, letter: string) => letter.toUpperCase());
}
