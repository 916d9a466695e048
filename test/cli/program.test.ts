import { describe, expect, test } from 'vitest';
import { helpOf, quietProgram, read } from './command-line.ts';

describe('the help', () => {
  test('begins with examples, then says how to call it, then lists the options', async () => {
    const help = await helpOf();
    const order = [
      'Examples:',
      'Usage:',
      'Server:',
      'Access:',
      'Tunnel:',
      'Listen:',
      'Output:',
      'Environment:',
      'Exit codes:',
    ];
    const places = order.map((heading) => help.indexOf(heading));
    expect(places[0]).toBe(0);
    expect(places).toEqual([...places].toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  test('shows examples that can be typed', async () => {
    const help = await helpOf();
    expect(help.match(/^ {4}\$ .*\bmcp-expose /gm)).toHaveLength(7);
  });

  test('of the relay begins with examples too, and shows its own options only', async () => {
    const help = await helpOf('relay');
    expect(help).toMatch(/^Examples:/);
    expect(help).toContain('--public-url <url>');
    expect(help).not.toContain('--stdio <');
    expect(help).not.toContain('--token-file');
  });

  test('says how long running calls are waited for', async () => {
    expect(await helpOf()).toContain('lets running calls finish for up to 10 s,\n  the second does not wait.');
  });

  test('does not show a secret of the environment', async () => {
    process.env['MCP_EXPOSE_TOKEN'] = 'mcpx_the-secret';
    const help = await helpOf();
    delete process.env['MCP_EXPOSE_TOKEN'];
    expect(help).not.toContain('mcpx_the-secret');
  });
});

describe('a command line', () => {
  test('without anything has only the defaults', async () => {
    expect(await read([])).toEqual({
      chosen: 'expose',
      flags: {
        auth: true,
        color: true,
        isolation: 'session',
        pairing: 'code',
        restart: 'on-exit',
        upstreamEra: 'auto',
        tunnel: 'auto',
        host: '127.0.0.1',
        port: 0,
      },
    });
  });

  test('with everything is read', async () => {
    const { chosen, flags } = await read([
      '--stdio',
      'npx server',
      '--cwd',
      '/srv',
      '--env',
      'A=1',
      '--env',
      'B=2',
      '--inherit-env',
      '--http',
      'http://127.0.0.1:3000/mcp',
      '--sse',
      'http://127.0.0.1:3000/sse',
      '--config',
      'mcp.json',
      '--server',
      'a',
      '--server',
      'b',
      '--watch',
      '--isolation',
      'shared',
      '--warm',
      '0',
      '--restart',
      'never',
      '--upstream-header',
      'A: b',
      '--upstream-ca',
      'ca.pem',
      '--upstream-timeout',
      '3s',
      '--allow-plain-http',
      '--upstream-era',
      'legacy',
      '--strict-era',
      '--root',
      '/srv',
      '--root',
      '/home',
      '--max-children',
      '4',
      '--park-ttl',
      '5m',
      '--serialize-interactive',
      '--domain',
      'mcp.example',
      '--max-message',
      '1m',
      '--idle-timeout',
      '1h',
      '--start-timeout',
      '5s',
      '--token-file',
      '-',
      '--no-auth',
      '--allow-unauthenticated-public',
      '--tunnel',
      'relay',
      '--relay',
      'https://relay.example',
      '--name',
      'mine',
      '--lan-address',
      '10.0.0.7',
      '--host',
      '::1',
      '--port',
      '7801',
      '--max-body',
      '1k',
      '--max-sessions',
      '2',
      '--json',
      '--quiet',
      '--verbose',
      '--no-color',
    ]);
    expect([chosen, flags]).toEqual([
      'expose',
      {
        stdio: 'npx server',
        cwd: '/srv',
        env: new Map([
          ['A', '1'],
          ['B', '2'],
        ]),
        inheritEnv: true,
        pairing: 'code',
        http: 'http://127.0.0.1:3000/mcp',
        sse: 'http://127.0.0.1:3000/sse',
        config: 'mcp.json',
        server: ['a', 'b'],
        watch: true,
        isolation: 'shared',
        warm: 0,
        restart: 'never',
        upstreamHeader: new Map([['A', 'b']]),
        upstreamCa: 'ca.pem',
        upstreamTimeout: 3000,
        allowPlainHttp: true,
        upstreamEra: 'legacy',
        strictEra: true,
        root: ['/srv', '/home'],
        maxChildren: 4,
        parkTtl: 300_000,
        serializeInteractive: true,
        domain: 'mcp.example',
        maxMessage: 1024 ** 2,
        idleTimeout: 3_600_000,
        startTimeout: 5000,
        tokenFile: '-',
        auth: false,
        allowUnauthenticatedPublic: true,
        tunnel: 'relay',
        relay: 'https://relay.example',
        name: 'mine',
        lanAddress: ['10.0.0.7'],
        host: '::1',
        port: 7801,
        maxBody: 1024,
        maxSessions: 2,
        json: true,
        quiet: true,
        verbose: true,
        color: false,
      },
    ]);
  });

  test('of the relay keeps its port for itself', async () => {
    expect(await read(['relay'])).toEqual({ chosen: 'relay', flags: { host: '127.0.0.1', port: 7900, color: true } });
    const { flags } = await read(['relay', '--port', '2', '--domain', 'r.example', '--json']);
    expect(flags).toMatchObject({ port: 2, domain: 'r.example', json: true });
  });

  test.each([
    [['--stdioo', 'x'], /unknown option '--stdioo'\n\(Did you mean --stdio\?\)/],
    [['--stdio'], /argument missing/],
    [['--port', 'http'], /a port is a number from 0 to 65535/],
    [['--tunnel', 'magic'], /allowed choices are auto, relay, lan, cloudflared, .*, none/],
    [['--max-sessions', '0'], /it takes a whole number from 1/],
    [['--max-children', '0'], /it takes a whole number from 1/],
    [['--park-ttl', 'soon'], /a duration is a number with ms, s, m, h or d/],
    [['--upstream-era', 'new'], /Allowed choices are auto, legacy, modern/],
    [['--tunnel', 'tunnelmole'], /tunnelmole cannot carry MCP/],
    [['--tunnel-order', 'ngrok,auto'], /it takes a list of lan, cloudflared, .*, localtunnel/],
    [['--tunnel-order', 'ngrok,,pinggy'], /it takes a list of/],
    [['--tunnel-order', 'relay'], /it takes a list of/],
    [['--tunnel-order', 'ngrok,tunnelmole'], /tunnelmole cannot carry MCP/],
    [['--public-url', 'x.example'], /it takes a URL such as/],
    [['--ssh-remote', 'here'], /it takes a port, or an address and a port/],
    [['surplus'], /too many arguments/],
    [['relay', 'surplus'], /too many arguments/],
    [['relay', '--stdio', 'x'], /unknown option '--stdio'/],
    [['--token', 'mcpx_secret'], /unknown option '--token'/],
  ])('%j is refused', async (argv, message) => {
    await expect(read(argv)).rejects.toThrow(message);
  });
});

test.each([[['-h']], [['relay', '-h']]])('%j shows the help, as --help does', async (argv) => {
  let printed = '';
  const program = quietProgram(() => {});
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ writeOut: (text) => void (printed += text), getOutHelpWidth: () => 120 });
  }
  await expect(program.parseAsync(argv, { from: 'user' })).rejects.toMatchObject({ exitCode: 0 });
  expect(printed).toBe(await helpOf(...argv.slice(0, -1)));
});
