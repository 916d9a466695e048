import {
  allowIps,
  expires,
  listOption,
  maxCalls,
  once,
  outputOptions,
  relayOptions,
  ruleOptions,
} from './command-options.ts';
import { eraOptions } from './era-options.ts';
import { longOf, type Need, type OptionSpec } from './option-spec.ts';
import type { GroupedOptions, OptionGroup, TunnelChoice } from './options.ts';
import {
  parseCount,
  parseDomain,
  parseDuration,
  parseHeader,
  parseHttpUrl,
  parsePort,
  parseRemote,
  parseSize,
  parseTunnel,
  parseTunnelOrder,
  parseUrl,
  parseVariable,
  parseWholeNumber,
  tunnelChoices,
} from './option-values.ts';

/** The path of an option of `expose()`, such as `listen.port`. */
export type OptionKey = {
  [Group in OptionGroup]: `${Group}.${keyof GroupedOptions[Group] & string}`;
}[OptionGroup];

const sshKinds: readonly TunnelChoice[] = ['ssh', 'localhost.run', 'srv.us', 'pinggy', 'serveo', 'sish'];

const needsRelay: Need = {
  tunnels: ['relay'],
  without: 'without a relay',
  hint: 'name the relay with --relay https://relay.example, or omit it',
};

const needsSsh: Need = {
  tunnels: sshKinds,
  without: 'without --tunnel ssh or a service over it',
  hint: 'add --tunnel ssh, or omit it',
};

/** Every option of `expose()`, in the order of the help; without a flag where only the library has it. */
export const optionTable: Readonly<Record<OptionKey, OptionSpec | undefined>> = {
  'server.stdio': {
    flag: '--stdio <command>',
    description: 'command that starts the server; or write it after --',
    secrecy: 'command',
  },
  'server.http': {
    flag: '--http <url>',
    description: 'or the URL of a Streamable HTTP server',
    parse: parseHttpUrl,
    secrecy: 'url',
  },
  'server.sse': {
    flag: '--sse <url>',
    description: 'or the URL of a server with the older HTTP+SSE transport',
    parse: parseHttpUrl,
    secrecy: 'url',
  },
  'server.config': {
    flag: '--config <file>',
    description: 'or a configuration file (mcpServers, or servers) with the servers',
  },
  'server.names': {
    ...listOption('--server <name>', 'expose only this server of the configuration'),
    needs: { server: 'config' },
  },
  'server.watch': {
    flag: '--watch',
    description: 'apply changes of the configuration file while running',
    needs: { server: 'config' },
  },
  'server.cwd': {
    flag: '--cwd <folder>',
    description: 'working directory of the server',
    needs: { server: 'process' },
  },
  'server.env': {
    flag: '--env <NAME=value>',
    description: 'environment variable for the server, or NAME to pass on yours; repeatable',
    parse: parseVariable,
    isRepeatable: true,
    secrecy: 'value',
    needs: { server: 'process' },
  },
  'server.inheritEnv': {
    flag: '--inherit-env',
    description: 'pass on the whole environment instead of a few safe variables',
    needs: { server: 'process' },
  },
  'server.startTimeoutMs': {
    flag: '--start-timeout <duration>',
    description: 'how long the server may take to start (default: 60s)',
    parse: parseDuration,
  },
  'server.isolation': {
    flag: '--isolation <kind>',
    description: 'one server process per session, or one shared by all',
    choices: ['session', 'shared'],
    defaultValue: 'session',
  },
  'server.warm': {
    flag: '--warm <n>',
    description: 'number of idle server processes to keep ready (default: 1 once two have run at the same time)',
    parse: parseWholeNumber,
    needs: { server: 'process' },
  },
  'server.restart': {
    flag: '--restart <when>',
    description: 'what to do when a server exits',
    choices: ['on-exit', 'never'],
    defaultValue: 'on-exit',
  },
  'server.headers': {
    flag: '--upstream-header <"Name: value">',
    description: 'with --http or --sse, send this header; ${env:NAME} is replaced by a variable; repeatable',
    parse: parseHeader,
    isRepeatable: true,
    secrecy: 'value',
    needs: { server: 'url' },
  },
  'server.caFile': {
    flag: '--upstream-ca <file>',
    description: 'with --http or --sse, also trust the certificates in this file',
    needs: { server: 'url-or-config' },
  },
  'server.connectTimeoutMs': {
    flag: '--upstream-timeout <duration>',
    description: 'with --http or --sse, how long connecting may take (default: 10s)',
    parse: parseDuration,
    needs: { server: 'url-or-config' },
  },
  'server.allowPlainHttp': {
    flag: '--allow-plain-http',
    description: 'with --http or --sse, allow unencrypted requests to other machines',
    needs: { server: 'url-or-config' },
  },
  'server.upstreamEra': eraOptions.upstreamEra,
  'server.strictEra': eraOptions.strictEra,
  'server.roots': eraOptions.roots,
  'server.maxChildren': eraOptions.maxChildren,
  'server.parkTtlMs': eraOptions.parkTtlMs,
  'server.serializeInteractive': eraOptions.serializeInteractive,
  'access.tokenFile': {
    flag: '--token-file <file>',
    description: 'read the bearer token from a file that only you can read; - is standard input',
  },
  'access.token': { flag: '--no-auth', description: 'require no token' },
  'access.tokenName': {
    flag: '--token-name <name>',
    description: 'name of the token in reports (default: default)',
    needs: { token: true },
  },
  'access.expiresInMs': expires,
  'access.once': once,
  'access.maxCalls': maxCalls,
  'access.stateFile': {
    flag: '--state <file>',
    description: 'keep the tokens, as digests, in this file for the next run',
    needs: { token: true },
  },
  'access.oauth': {
    flag: '--oauth',
    description: 'let clients sign in with OAuth too, after your approval (claude.ai, ChatGPT)',
    needs: { token: true },
  },
  'access.pairing': {
    flag: '--pairing <how>',
    description: 'with --oauth, approve by a code for the page, by yes on the terminal (tty), or both',
    choices: ['code', 'tty', 'both'],
    defaultValue: 'code',
    needs: { token: true, signIn: 'pairing' },
  },
  'access.oidcIssuer': {
    flag: '--oidc-issuer <url>',
    description:
      'with --oauth, let users sign in at this OpenID provider, such as https://accounts.google.com, instead of pairing',
    parse: parseHttpUrl,
    secrecy: 'url',
    needs: { token: true, signIn: 'oauth' },
  },
  'access.oidcClientId': {
    flag: '--oidc-client-id <id>',
    description: 'client id of mcp-expose at that provider',
    needs: { token: true, signIn: 'oidc' },
  },
  'access.oidcClientSecret': undefined,
  'access.oidcClientSecretFile': {
    flag: '--oidc-client-secret-file <file>',
    description: 'read its client secret from a file that only you can read',
    needs: { token: true, signIn: 'oidc' },
  },
  'access.allowUsers': {
    ...listOption(
      '--allow-user <email>',
      'who may sign in there, by verified e-mail address; *@example.com is a domain',
    ),
    needs: { token: true, signIn: 'oidc' },
  },
  'access.confirm': undefined,
  'access.control': undefined,
  'access.allowUnauthenticatedPublic': {
    flag: '--allow-unauthenticated-public',
    description: 'with --no-auth, accept requests from other machines too',
  },
  'access.allowOrigins': {
    ...listOption('--allow-origin <origin>', 'let web pages of this origin use the server'),
    secrecy: 'url',
  },
  'access.allowIps': allowIps,
  'access.requestsPerSecond': {
    flag: '--rate-limit <n>',
    description: 'requests per second that each caller may make (default: any number)',
    parse: parseCount,
  },
  'access.allowTools': ruleOptions.allowTools,
  'access.denyTools': ruleOptions.denyTools,
  'access.allowResources': ruleOptions.allowResources,
  'access.denyResources': ruleOptions.denyResources,
  'access.allowPrompts': ruleOptions.allowPrompts,
  'access.denyPrompts': ruleOptions.denyPrompts,
  'access.readOnly': ruleOptions.readOnly,
  'access.approve': listOption(
    '--approve <what>',
    'ask you before these tools are called: destructive, all, or a glob such as write_*',
  ),
  'access.onApproval': undefined,
  'access.approveCommand': {
    flag: '--approve-command <command>',
    description: 'with --approve, ask this program instead: JSON on its standard input, exit code 0 approves',
    secrecy: 'command',
    needs: { approve: true },
  },
  'access.approveTimeoutMs': {
    flag: '--approve-timeout <duration>',
    description: 'with --approve, how long a call waits for an answer (default: 2m)',
    parse: parseDuration,
    needs: { approve: true },
  },
  'tunnel.kind': {
    flag: '--tunnel <kind>',
    description: 'how others reach the server',
    parse: parseTunnel,
    choices: tunnelChoices,
    defaultValue: 'auto',
  },
  'tunnel.order': {
    flag: '--tunnel-order <kinds>',
    description: 'what auto tries, comma-separated (default: see below)',
    parse: parseTunnelOrder,
    needs: { tunnels: ['auto'], hint: 'it lists what auto tries; omit it' },
  },
  'tunnel.relay': {
    flag: '--relay <url>',
    description: 'relay to use',
    parse: parseUrl,
    secrecy: 'url',
    needs: { tunnels: ['relay'], hint: 'use --tunnel relay, or omit --relay' },
  },
  'tunnel.relayKey': {
    flag: '--relay-key <file>',
    description: 'key for the relay, made if it is missing; machines that have the same get the same URL',
    needs: needsRelay,
  },
  'tunnel.replica': {
    flag: '--replica',
    description: 'with --relay-key, serve the name together with others that have the same key and token',
    needs: needsRelay,
  },
  'tunnel.name': {
    flag: '--name <name>',
    description: 'name to request from the relay or service (default at a relay: one that belongs to your key)',
    needs: {
      tunnels: ['relay', 'devtunnel', 'zrok', 'serveo', 'sish', 'localtunnel'],
      hint: 'it names the server at a relay, devtunnel, zrok, serveo, sish or localtunnel',
    },
  },
  'tunnel.publicUrl': {
    flag: '--public-url <url>',
    description:
      'public URL of the tunnel or, with --tunnel none, of a reverse proxy; with ngrok and tailscale, the URL to request',
    parse: parseUrl,
    secrecy: 'url',
    needs: {
      tunnels: ['none', 'cloudflared', 'ngrok', 'tailscale', 'tailscale-serve', ...sshKinds],
      hint: 'the provider chooses the URL; omit --public-url',
    },
  },
  'tunnel.ssh': {
    flag: '--ssh <[user@]host[:port]>',
    description: 'with --tunnel ssh and the services over it, the server to use',
    needs: needsSsh,
  },
  'tunnel.sshKey': { flag: '--ssh-key <file>', description: 'private key for it', needs: needsSsh },
  'tunnel.sshRemote': {
    flag: '--ssh-remote <[bind:]port>',
    description: 'where that server listens (default: a port of its choice)',
    parse: parseRemote,
    needs: needsSsh,
  },
  'tunnel.lanAddresses': {
    ...listOption('--lan-address <address>', 'with --tunnel lan, listen on this address only'),
    needs: { tunnels: ['lan'], without: 'without --tunnel lan', hint: 'add --tunnel lan, or omit --lan-address' },
  },
  'tunnel.port': {
    flag: '--tunnel-port <port>',
    description: 'local port that the tunnel forwards to (default: a free one)',
    parse: parsePort,
    needs: {
      tunnels: tunnelChoices.filter((kind) => kind !== 'relay' && kind !== 'lan' && kind !== 'none'),
      hint: 'it is for tunnels that forward to a port; omit --tunnel-port',
    },
  },
  'tunnel.resolve': {
    ...listOption('--resolve <host:port:address>', 'use this address for a host of the tunnel instead of DNS'),
    needs: { tunnels: tunnelChoices.filter((kind) => kind !== 'none'), hint: 'omit --resolve' },
  },
  'listen.host': { flag: '--host <address>', description: 'address to listen on', defaultValue: '127.0.0.1' },
  'listen.port': {
    flag: '--port <port>',
    description: 'port to listen on; 0 picks a free one',
    parse: parsePort,
    defaultValue: 0,
  },
  'listen.domain': {
    flag: '--domain <domain>',
    description: 'host name of a reverse proxy that forwards here',
    parse: parseDomain,
  },
  'listen.maxBodyBytes': {
    flag: '--max-body <size>',
    description: 'largest request body (default: 16MiB)',
    parse: parseSize,
  },
  'listen.maxMessageBytes': {
    flag: '--max-message <size>',
    description: 'largest message of a server (default: 64MiB)',
    parse: parseSize,
  },
  'listen.maxSessions': {
    flag: '--max-sessions <n>',
    description: 'concurrent sessions per server (default: 32)',
    parse: parseCount,
  },
  'listen.idleTimeoutMs': {
    flag: '--idle-timeout <duration>',
    description: 'end a session that has had no message for this long (default: 30m)',
    parse: parseDuration,
  },
  'output.onEvent': undefined,
  'output.reportRequests': undefined,
  'output.auditFile': {
    flag: '--audit <file>',
    description: 'append a line of JSON to this file for each request and each decision about access',
  },
  'output.auditBodies': {
    flag: '--audit-bodies',
    description: 'with --audit, record arguments and results too, without what looks secret',
    needs: { audit: true },
  },
};

const bySpecFlag: ReadonlyMap<string, OptionSpec> = new Map(
  [...Object.values(optionTable), ...outputOptions, ...relayOptions].flatMap((spec) =>
    spec === undefined ? [] : [[longOf(spec), spec]],
  ),
);

/** @param long the flag without its placeholder, such as `--port`. */
export function specOf(long: string): OptionSpec | undefined {
  return bySpecFlag.get(long);
}

export function optionEntries(): readonly (readonly [key: OptionKey, spec: OptionSpec])[] {
  return Object.entries(optionTable).flatMap(([key, spec]) =>
    // oxlint-disable-next-line no-unsafe-type-assertion -- Object.entries forgets what its keys are
    spec === undefined ? [] : [[key as OptionKey, spec] as const],
  );
}

/** The group and the name of an option. */
export function partsOf(key: OptionKey): readonly [group: OptionGroup, name: string] {
  const [group, name = ''] = key.split('.');
  // oxlint-disable-next-line no-unsafe-type-assertion -- each key begins with its group, see its type
  return [group as OptionGroup, name];
}
