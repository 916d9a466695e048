// Every option that there is. Removing or renaming one breaks somebody's script.
import { expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

const nothing = (): Promise<void> => Promise.resolve();

test('the options of mcp-expose', () => {
  const program = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing });
  expect(program.options.map(({ flags }) => flags)).toEqual([
    '-V, --version',
    '--stdio <command>',
    '--http <url>',
    '--sse <url>',
    '--config <file>',
    '--server <name>',
    '--watch',
    '--cwd <folder>',
    '--env <NAME=value>',
    '--inherit-env',
    '--start-timeout <duration>',
    '--isolation <kind>',
    '--warm <n>',
    '--restart <when>',
    '--upstream-header <"Name: value">',
    '--upstream-ca <file>',
    '--upstream-timeout <duration>',
    '--allow-plain-http',
    '--upstream-era <era>',
    '--strict-era',
    '--root <folder>',
    '--max-children <n>',
    '--park-ttl <duration>',
    '--serialize-interactive',
    '--token-file <file>',
    '--no-auth',
    '--token-name <name>',
    '--expires <duration>',
    '--once',
    '--max-calls <n>',
    '--state <file>',
    '--oauth',
    '--pairing <how>',
    '--oidc-issuer <url>',
    '--oidc-client-id <id>',
    '--oidc-client-secret-file <file>',
    '--allow-user <email>',
    '--allow-unauthenticated-public',
    '--allow-origin <origin>',
    '--allow-ip <range>',
    '--rate-limit <n>',
    '--allow-tool <glob>',
    '--deny-tool <glob>',
    '--allow-resource <glob>',
    '--deny-resource <glob>',
    '--allow-prompt <glob>',
    '--deny-prompt <glob>',
    '--read-only',
    '--approve <what>',
    '--approve-command <command>',
    '--approve-timeout <duration>',
    '--tunnel <kind>',
    '--tunnel-order <kinds>',
    '--relay <url>',
    '--relay-key <file>',
    '--replica',
    '--name <name>',
    '--public-url <url>',
    '--ssh <[user@]host[:port]>',
    '--ssh-key <file>',
    '--ssh-remote <[bind:]port>',
    '--lan-address <address>',
    '--tunnel-port <port>',
    '--resolve <host:port:address>',
    '--host <address>',
    '--port <port>',
    '--domain <domain>',
    '--max-body <size>',
    '--max-message <size>',
    '--max-sessions <n>',
    '--idle-timeout <duration>',
    '--audit <file>',
    '--audit-bodies',
    '--json',
    '--quiet',
    '--verbose',
    '--no-color',
  ]);
  expect(program.commands.map((command) => command.name())).toEqual(['relay', 'token', 'audit']);
});

test('the options of mcp-expose audit', () => {
  const audit = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing }).commands.at(-1);
  expect(audit?.options.map(({ flags }) => flags)).toEqual([
    '--caller <name>',
    '--tool <glob>',
    '--outcome <outcome>',
    '--since <duration>',
    '--summary',
    '--json',
    '--quiet',
    '--verbose',
    '--no-color',
  ]);
});

test('the options of mcp-expose token', () => {
  const [, token] = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing }).commands;
  expect(token?.registeredArguments.map((argument) => [argument.name(), argument.argChoices])).toEqual([
    ['action', ['list', 'add', 'revoke', 'rotate']],
    ['name', undefined],
  ]);
  expect(token?.options.map(({ flags }) => flags)).toEqual([
    '--run <run>',
    '--expires <duration>',
    '--once',
    '--max-calls <n>',
    '--allow-ip <range>',
    '--allow-tool <glob>',
    '--deny-tool <glob>',
    '--allow-resource <glob>',
    '--deny-resource <glob>',
    '--allow-prompt <glob>',
    '--deny-prompt <glob>',
    '--read-only',
    '--json',
    '--quiet',
    '--verbose',
    '--no-color',
  ]);
});

test('the options of mcp-expose relay', () => {
  const [relay] = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing }).commands;
  expect(relay?.options.map(({ flags }) => flags)).toEqual([
    '--host <address>',
    '--port <port>',
    '--public-url <url>',
    '--domain <domain>',
    '--state <file>',
    '--json',
    '--quiet',
    '--verbose',
    '--no-color',
  ]);
});

test('the kinds of tunnel, and the defaults', () => {
  const program = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing });
  expect(program.options.find(({ long }) => long === '--tunnel')?.argChoices).toEqual([
    'auto',
    'relay',
    'lan',
    'cloudflared',
    'ngrok',
    'tailscale',
    'tailscale-serve',
    'devtunnel',
    'zrok',
    'ssh',
    'localhost.run',
    'srv.us',
    'pinggy',
    'serveo',
    'sish',
    'localtunnel',
    'none',
  ]);
  expect(program.opts()).toEqual({
    auth: true,
    isolation: 'session',
    pairing: 'code',
    restart: 'on-exit',
    tunnel: 'auto',
    upstreamEra: 'auto',
    host: '127.0.0.1',
    port: 0,
    color: true,
  });
  expect(program.commands[0]?.opts()).toEqual({ host: '127.0.0.1', port: 7900, color: true });
});

test('no option takes a secret', () => {
  const program = createProgram({ expose: nothing, relay: nothing, token: nothing, audit: nothing });
  const names = [program, ...program.commands].flatMap((command) => command.options.map(({ long }) => long));
  for (const name of ['--token', '--password', '--secret', '--key', '--bearer']) expect(names).not.toContain(name);
});
