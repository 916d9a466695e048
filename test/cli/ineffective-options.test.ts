import { describe, expect, test } from 'vitest';
import { applyEnvironmentTwins } from '../../src/cli/environment-twins.ts';
import { optionsOf } from '../../src/cli/expose-command.ts';
import { rejectIneffectiveOptions, rejectOptionsBefore } from '../../src/cli/ineffective-options.ts';
import { quietProgram } from './command-line.ts';

async function check(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  const program = quietProgram((chosen, command) => {
    applyEnvironmentTwins(command, env);
    if (chosen === 'relay') rejectOptionsBefore(command, argv);
    else rejectIneffectiveOptions(command, optionsOf(command, []));
  });
  await program.parseAsync([...argv], { from: 'user' });
}

const relay = ['--relay', 'https://relay.example'];

describe('an option that the others leave without effect is refused', () => {
  test.each<[string, string[], NodeJS.ProcessEnv?]>([
    ['--relay has no effect with --tunnel lan', [...relay, '--tunnel', 'lan']],
    ['--relay has no effect with --tunnel none', [...relay, '--tunnel', 'none']],
    ['--relay has no effect with MCP_EXPOSE_TUNNEL=none', relay, { MCP_EXPOSE_TUNNEL: 'none' }],
    ['--name has no effect without a relay', ['--name', 'files']],
    ['--name has no effect with --tunnel none', ['--name', 'files', '--tunnel', 'none']],
    [
      '--name has no effect with --tunnel lan',
      ['--name', 'files', '--tunnel', 'lan'],
      { MCP_EXPOSE_RELAY: 'https://relay.example' },
    ],
    ['--replica has no effect without a relay', ['--replica']],
    ['--relay-key has no effect without a relay', ['--relay-key', 'x', '--tunnel', 'ngrok']],
    ['--lan-address has no effect without --tunnel lan', ['--lan-address', '10.0.0.7']],
    ['--lan-address has no effect without --tunnel lan', ['--lan-address', '10.0.0.7', '--tunnel', 'none']],
    ['--lan-address has no effect without --tunnel lan', ['--lan-address', '10.0.0.7', ...relay]],
    ['--public-url has no effect with --tunnel auto', ['--public-url', 'https://a.example']],
    ['--public-url has no effect with --tunnel lan', ['--public-url', 'https://a.example', '--tunnel', 'lan']],
    ['--ssh has no effect without --tunnel ssh or a service over it', ['--ssh', 'me@host']],
    ['--ssh has no effect without --tunnel ssh or a service over it', ['--ssh', 'x', '--tunnel-order', 'ngrok']],
    ['--ssh-key has no effect without --tunnel ssh or a service over it', ['--ssh-key', 'x', '--tunnel', 'ngrok']],
    ['--ssh-remote has no effect without --tunnel ssh or a service over it', ['--ssh-remote', '1', ...relay]],
    ['--tunnel-order has no effect with --tunnel ngrok', ['--tunnel-order', 'zrok', '--tunnel', 'ngrok']],
    ['--tunnel-port has no effect with --tunnel none', ['--tunnel-port', '1', '--tunnel', 'none']],
    ['--tunnel-port has no effect with --tunnel lan', ['--tunnel-port', '1', '--tunnel', 'lan']],
    ['--resolve has no effect with --tunnel none', ['--resolve', 'a:1:127.0.0.1', '--tunnel', 'none']],
    ['--upstream-header has no effect without --http or --sse', ['--stdio', 'x', '--upstream-header', 'A: b']],
    ['--upstream-header has no effect with --config', ['--config', 'x', '--upstream-header', 'A: b']],
    ['--upstream-timeout has no effect without --http or --sse', ['--upstream-timeout', '1s']],
    ['--cwd has no effect with --http or --sse, which start no process', ['--http', 'http://a', '--cwd', '.']],
    ['--warm has no effect with --http or --sse, which start no process', ['--sse', 'http://a', '--warm', '2']],
    ['--server has no effect without --config', ['--server', 'files']],
    ['--watch has no effect without --config', ['--stdio', 'x', '--watch']],
    ['--oidc-issuer has no effect without --oauth', ['--oidc-issuer', 'https://a']],
    [
      '--oidc-issuer has no effect with --no-auth',
      ['--oidc-issuer', 'https://a', '--no-auth'],
      { MCP_EXPOSE_OAUTH: '1' },
    ],
    ['--oidc-client-id has no effect without --oidc-issuer', ['--oauth', '--oidc-client-id', 'x']],
    ['--oidc-client-secret-file has no effect without --oidc-issuer', ['--oauth', '--oidc-client-secret-file', 'x']],
    ['--allow-user has no effect without --oidc-issuer', ['--oauth', '--allow-user', 'ada@example.com']],
    ['--pairing has no effect with --oidc-issuer', ['--oauth', '--oidc-issuer', 'https://a', '--pairing', 'code']],
    [
      '--pairing has no effect with --oidc-issuer',
      ['--oauth', '--pairing', 'tty'],
      { MCP_EXPOSE_OIDC_ISSUER: 'https://a' },
    ],
    ['--audit-bodies has no effect without --audit', ['--audit-bodies']],
    ['--approve-command has no effect without --approve', ['--approve-command', 'x']],
    ['--approve-timeout has no effect without --approve', ['--approve-timeout', '1m']],
    [
      '--upstream-era has no effect with --sse, whose servers are all legacy',
      ['--sse', 'http://a', '--upstream-era', 'modern'],
    ],
    ['--root has no effect with --strict-era, which translates nothing', ['--strict-era', '--root', '.']],
    [
      '--park-ttl has no effect with --strict-era, which translates nothing',
      ['--park-ttl', '1m'],
      { MCP_EXPOSE_STRICT_ERA: '1' },
    ],
  ])('%s: %j %j', async (message, argv, env) => {
    await expect(check(argv, env)).rejects.toMatchObject({ code: 'usage', exitCode: 2, message });
  });

  test.each<[string[], NodeJS.ProcessEnv?]>([
    [[]],
    [['--oauth', '--oidc-issuer', 'https://a', '--oidc-client-id', 'x', '--allow-user', 'ada@example.com']],
    [['--oauth', '--oidc-issuer', 'https://a'], { MCP_EXPOSE_PAIRING: 'code' }],
    [[], { MCP_EXPOSE_OIDC_ISSUER: 'https://a', MCP_EXPOSE_ALLOW_USER: 'ada@example.com' }],
    [relay],
    [[...relay, '--name', 'files']],
    [['--audit', 'x', '--audit-bodies']],
    [['--approve', 'all', '--approve-command', 'x', '--approve-timeout', '1m']],
    [['--approve-command', 'x'], { MCP_EXPOSE_APPROVE: 'destructive' }],
    [['--http', 'http://a', '--upstream-era', 'modern', '--strict-era']],
    [['--root', '.', '--max-children', '2', '--park-ttl', '1m', '--serialize-interactive']],
    [['--strict-era'], { MCP_EXPOSE_ROOT: '.' }],
    [[], { MCP_EXPOSE_APPROVE_COMMAND: 'x' }],
    [['--http', 'http://a', '--upstream-header', 'A: b', '--upstream-ca', 'x', '--allow-plain-http']],
    [['--config', 'x', '--server', 'a', '--watch', '--cwd', '.', '--warm', '0', '--upstream-timeout', '1s']],
    [[...relay, '--tunnel', 'relay', '--name', 'files']],
    [['--name', 'files'], { MCP_EXPOSE_RELAY: 'https://relay.example' }],
    [['--tunnel', 'lan', '--lan-address', '10.0.0.7']],
    [
      [
        '--tunnel',
        'ssh',
        '--ssh',
        'me@host',
        '--ssh-key',
        'k',
        '--ssh-remote',
        '1',
        '--public-url',
        'https://a.example',
      ],
    ],
    [['--tunnel-order', 'ssh,ngrok', '--ssh', 'me@host', '--ssh-key', 'k']],
    [['--tunnel', 'zrok', '--name', 'files', '--tunnel-port', '1', '--resolve', 'a:1:127.0.0.1']],
    [['--lan-address', '10.0.0.7'], { MCP_EXPOSE_TUNNEL: 'lan' }],
    [['--tunnel', 'none', '--public-url', 'https://a.example', '--resolve', 'a.example:443:127.0.0.1']],
    // It fails for the missing relay, with words that fit better.
    [['--tunnel', 'relay', '--name', 'files']],
    // A profile for all runs.
    [
      ['--tunnel', 'none'],
      { MCP_EXPOSE_RELAY: 'https://r.example', MCP_EXPOSE_NAME: 'a', MCP_EXPOSE_LAN_ADDRESS: '10.0.0.7' },
    ],
    [[], { MCP_EXPOSE_NAME: 'files', MCP_EXPOSE_LAN_ADDRESS: '10.0.0.7' }],
  ])('and nothing else: %j %j', async (argv, env) => {
    await expect(check(argv, env)).resolves.toBeUndefined();
  });
});

describe('options before relay', () => {
  test('that it has are refused with where they belong', async () => {
    await expect(check(['--json', '--port', '1', 'relay'])).rejects.toMatchObject({
      code: 'usage',
      message: '--port, --json have no effect before relay',
      hints: ['write options of relay after it: mcp-expose relay --json --port 1'],
    });
  });

  test('that it has not are refused with how to find its own', async () => {
    await expect(check(['--stdio', 'x', 'relay', '--json'])).rejects.toMatchObject({
      code: 'usage',
      message: '--stdio has no effect before relay',
      hints: ['relay has no --stdio; mcp-expose relay --help lists its options'],
    });
  });

  test('that only the environment sets are none', async () => {
    await expect(check(['relay', '--json'], { MCP_EXPOSE_PORT: '1', MCP_EXPOSE_STDIO: 'x' })).resolves.toBeUndefined();
  });
});
