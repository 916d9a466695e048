import { describe, expect, test } from 'vitest';
import { readIsOpen, readPort } from '../../../../src/tunnel/providers/devtunnel/named-tunnel.ts';
import {
  readDevtunnelLine,
  saysNoSuchTunnel,
  saysNotLoggedIn,
} from '../../../../src/tunnel/providers/devtunnel/output.ts';

describe('the URL', () => {
  test.each([
    'Connect via browser: https://l3rs99qw.eun1.devtunnels.ms:3000, https://l3rs99qw-3000.eun1.devtunnels.ms',
    'Connect via browser: https://l3rs99qw-3000.eun1.devtunnels.ms',
    'Hosting port 3000 at https://l3rs99qw-3000.eun1.devtunnels.ms/',
    'Hosting port: 3000 at https://l3rs99qw-3000-inspect.eun1.devtunnels.ms/, https://l3rs99qw-3000.eun1.devtunnels.ms/',
  ])('%s', (line) => {
    expect(readDevtunnelLine(line)).toEqual({ kind: 'urls', urls: ['https://l3rs99qw-3000.eun1.devtunnels.ms'] });
  });

  test('with a port, where there is no other', () => {
    const line = 'Connect via browser: https://l3rs99qw.eun1.devtunnels.ms:3000';
    expect(readDevtunnelLine(line)).toEqual({ kind: 'urls', urls: ['https://l3rs99qw.eun1.devtunnels.ms:3000'] });
  });

  test.each([
    'Inspect network activity: https://l3rs99qw-3000-inspect.eun1.devtunnels.ms',
    'License Terms: https://aka.ms/devtunnels/tos',
    'Privacy Statement: https://privacy.devtunnels.ms/',
    'Connect via browser: https://evil-devtunnels.ms',
    'Hosting port: 3000',
    'Connection to host tunnel relay restored.',
    'ClientSSH: PortForwardingService connection to localhost:1 failed: No connection could be made.',
  ])('not of %s', (line) => {
    expect(readDevtunnelLine(line)).toBeUndefined();
  });
});

test('ready', () => {
  expect(readDevtunnelLine('Ready to accept connections for tunnel: joyful-dog-xgz66vp.eun1')).toEqual({
    kind: 'ready',
  });
});

test('what is not fatal', () => {
  expect(readDevtunnelLine('Connection to host tunnel relay closed. Connection lost.. Reconnecting.')).toEqual({
    kind: 'warning',
    message: 'devtunnel has lost its connection and makes another one',
  });
  expect(readDevtunnelLine("Warning: Approaching limit for 'BandwidthPerUser'")).toEqual({
    kind: 'warning',
    message: "devtunnel says: Warning: Approaching limit for 'BandwidthPerUser'",
  });
});

test.each([
  ['Not logged in.', 'tunnel_rejected', 'devtunnel is not logged in'],
  ['Login required. Use devtunnel user login.', 'tunnel_rejected', 'devtunnel is not logged in'],
  ['Tunnel service response status code: Unauthorized', 'tunnel_rejected', 'devtunnel is not logged in'],
  ['Tunnel not found: mine', 'tunnel_rejected', 'there is no such tunnel: Tunnel not found: mine'],
  [
    'Connection to host tunnel relay closed. Another host for the tunnel has connected.',
    'tunnel_rejected',
    'another devtunnel host has taken over this tunnel',
  ],
  [
    'Error connecting host tunnel session: Not authorized. Refreshed tunnel access token is not valid',
    'tunnel_unavailable',
    'devtunnel could not connect: Error connecting host tunnel session: Not authorized. Refreshed tunnel access token is not valid',
  ],
  [
    'Tunnel service error: Resource limit exceeded: TunnelsPerUserPerLocation',
    'tunnel_unavailable',
    'the account has no room for more: Tunnel service error: Resource limit exceeded: TunnelsPerUserPerLocation',
  ],
  [
    'Tunnel service response status code: BadGateway',
    'tunnel_unavailable',
    'devtunnel says: Tunnel service response status code: BadGateway',
  ],
])('%s', (line, code, message) => {
  expect(readDevtunnelLine(line)).toMatchObject({ kind: 'failure', error: { code, message } });
});

test.each([
  ['Tunnel not found: mine', true],
  ['Creating the dev tunnel failed. Tunnel service error: Not Found', true],
  ['Tunnel service response status code: NotFound', true],
  ['Tunnel service error: Host not found (global.rel.tunnels.api.visualstudio.com:443)', false],
  ['Tunnel service error: Name or service not known', false],
])('whether there is such a tunnel: %s', (line, isMissing) => {
  expect(saysNoSuchTunnel(line)).toBe(isMissing);
});

test('who is logged in', () => {
  expect(saysNotLoggedIn('Logged in as someone@example.com using GitHub.')).toBe(false);
  expect(saysNotLoggedIn('Not logged in.')).toBe(true);
  expect(saysNotLoggedIn('Login token expired. Not signed in.')).toBe(true);
});

test('the first port of a tunnel, and whether it is open to all', () => {
  expect(readPort({ tunnel: { ports: [{ portNumber: 5000 }, { portNumber: 6000 }] } })).toBe(5000);
  expect(readPort({ tunnel: { ports: [] } })).toBeUndefined();
  expect(readPort({ tunnel: { ports: [{ portNumber: 'x' }, null, { portNumber: 70_000 }] } })).toBeUndefined();
  const entry = { type: 'Anonymous', isDeny: false, scopes: ['connect'] };
  expect(readIsOpen({ accessControlEntries: [entry] })).toBe(true);
  expect(readIsOpen({ accessControlEntries: [{ ...entry, isDeny: true }] })).toBe(false);
  expect(readIsOpen({ accessControlEntries: [{ ...entry, scopes: ['inspect'] }] })).toBe(false);
  expect(readIsOpen({ accessControlEntries: [{ ...entry, type: 'Organizations' }] })).toBe(false);
  expect(readIsOpen({})).toBe(false);
});
