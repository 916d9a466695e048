import { describe, expect, test } from 'vitest';
import { createTailscaleReader, type Reach } from '../../../../src/tunnel/providers/tailscale/output.ts';
import {
  readPortsInUse,
  readTailscaleStatus,
  whyNotRunning,
} from '../../../../src/tunnel/providers/tailscale/status.ts';

const host = 'box.tail1234.ts.net';

/** All that the lines say. */
function read(lines: readonly string[], reach: Reach = 'internet'): unknown[] {
  const reader = createTailscaleReader(reach, host);
  return lines.map((line) => reader(line)).filter((event) => event !== undefined);
}

describe('what it prints', () => {
  test.each([
    ['internet', 'on the internet', `https://${host}/`, `https://${host}`],
    ['internet', 'on the internet', `https://${host}:8443/`, `https://${host}:8443`],
    ['tailnet', 'within your tailnet', `https://${host}:10000/`, `https://${host}:10000`],
  ] as const)('%s: %s', (reach, announced, line, url) => {
    const lines = [
      'https://login.tailscale.com/',
      `Available ${announced}:`,
      line,
      '|-- proxy http://127.0.0.1:3000',
      'Press Ctrl+C to exit.',
    ];
    expect(read(lines, reach)).toEqual([{ kind: 'urls', urls: [url] }]);
  });

  test('no other host is taken, and none before it is announced', () => {
    expect(read([`https://${host}/`])).toEqual([]);
    expect(
      read([
        'Available on the internet:',
        'https://tailscale.com/',
        `https://${host}.evil.example/`,
        `https://x.${host}/`,
      ]),
    ).toEqual([]);
  });

  test('open to the tailnet only, where the internet was asked for', () => {
    expect(read(['Available within your tailnet:', `https://${host}/`])).toMatchObject([
      { kind: 'failure', error: { code: 'tunnel_unavailable', message: 'tailscale serves the tailnet only' } },
    ]);
  });

  test('a feature that waits to be enabled, with the URL for that', () => {
    const url = 'https://login.tailscale.com/f/funnel?node=n123';
    expect(read(['Funnel is not enabled on your tailnet.', 'To enable, visit:', url])).toMatchObject([
      {
        kind: 'failure',
        error: {
          code: 'tunnel_rejected',
          message: 'Funnel is not enabled in this tailnet',
          hints: [`enable it at ${url}`],
        },
      },
    ]);
  });
});

describe('refusals', () => {
  test.each([
    [
      'Funnel not available; HTTPS must be enabled. See https://tailscale.com/s/https.',
      'tunnel_rejected',
      'Funnel is not allowed on this machine: HTTPS must be enabled',
      'https://tailscale.com/s/https explains how to allow it',
    ],
    [
      'Funnel not available; "funnel" node attribute not set. See https://tailscale.com/s/no-funnel.',
      'tunnel_rejected',
      'Funnel is not allowed on this machine: "funnel" node attribute not set',
      'https://tailscale.com/s/no-funnel explains how to allow it',
    ],
    [
      'port 8443 is not allowed for funnel; allowed ports are: 443',
      'tunnel_rejected',
      'Funnel is not allowed on port 8443',
      'give --public-url a port that the policy of the tailnet allows, or omit it',
    ],
    [
      'error: foreground listener already exists for port 443',
      'tunnel_unavailable',
      'tailscale serves something else there already: error: foreground listener already exists for port 443',
      'tailscale serve status shows what',
    ],
    ['Logged out.', 'tunnel_rejected', 'tailscale is logged out', 'run tailscale up'],
    ['Tailscale is stopped.', 'tunnel_unavailable', 'tailscale is not running', 'run tailscale up'],
    [
      "failed to connect to local tailscaled; it doesn't appear to be running (sudo systemctl start tailscaled ?)",
      'tunnel_unavailable',
      'tailscale is not running',
      'run tailscale up',
    ],
    [
      'Machine is not yet approved by tailnet admin.',
      'tunnel_rejected',
      'this machine is not yet approved in its tailnet',
      'an administrator approves it at https://login.tailscale.com/admin/machines',
    ],
    [
      'error: Access denied: serve config denied',
      'tunnel_rejected',
      'this user may not change what tailscale serves',
      'run sudo tailscale set --operator=$USER once',
    ],
  ])('%s', (line, code, message, hint) => {
    expect(read([line])).toMatchObject([{ kind: 'failure', error: { code, message, hints: [hint] } }]);
  });

  test('a warning is none', () => {
    expect(read(['Warning: client version "1.90.1" != tailscaled server version "1.88.0"'])).toEqual([]);
  });
});

describe('status', () => {
  test.each([
    [{ https: null, funnel: null }, true],
    [{ 'https://tailscale.com/cap/funnel': null }, true],
    [{ https: null, 'https://tailscale.com/cap/funnel-ports?ports=443': null }, false],
  ])('%j', (CapMap, mayFunnel) => {
    const self = { DNSName: 'Box.tail1234.ts.net.', CapMap };
    expect(readTailscaleStatus({ BackendState: 'Running', Self: self })).toEqual({ state: 'Running', host, mayFunnel });
  });

  test('of older versions, and of what is no such thing', () => {
    const self = { DNSName: 'box.tail1234.ts.net.', Capabilities: ['https', 'funnel'] };
    expect(readTailscaleStatus({ BackendState: 'Running', Self: self }).mayFunnel).toBe(true);
    expect(readTailscaleStatus({})).toEqual({ state: undefined, host: undefined, mayFunnel: false });
  });

  test.each([
    [undefined, host, 'the tailscale daemon is not running'],
    ['NeedsLogin', undefined, 'tailscale is logged out'],
    ['NeedsMachineAuth', host, 'this machine is not yet approved in its tailnet'],
    ['Stopped', host, 'tailscale is not running (Stopped)'],
    ['Running', undefined, 'this machine has no name in its tailnet: MagicDNS is off'],
    ['Running', host, undefined],
  ])('%s with the name %s', (state, name, why) => {
    expect(whyNotRunning({ state, host: name, mayFunnel: true })).toBe(why);
  });

  test('ports in use, in the background and in the foreground', () => {
    const session = { TCP: { 8443: { HTTPS: true } }, Web: { 'box.tail1234.ts.net:8443': { Handlers: {} } } };
    const configuration = {
      TCP: { 443: { HTTPS: true }, 2222: { TCPForward: '127.0.0.1:22' } },
      Foreground: { abc: session },
    };
    expect(readPortsInUse(configuration)).toEqual(new Set([443, 2222, 8443]));
    expect(readPortsInUse({})).toEqual(new Set());
  });
});
