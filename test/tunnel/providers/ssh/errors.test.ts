// The words of OpenSSH, as literals.
import { expect, test } from 'vitest';

import { sshErrorIn, type SshErrorContext } from '../../../../src/tunnel/providers/ssh/errors.ts';

const context: SshErrorContext = {
  server: 'server.example:2222',
  remote: '*:8080',
  knownHostsFiles: ['/home/me/.config/mcp-expose/known_hosts', '~/.ssh/known_hosts'],
  isAnonymous: false,
  isRestart: false,
};

test.each([
  [
    'ssh: Could not resolve hostname server.example: Name or service not known',
    'tunnel_unreachable',
    'there is no SSH server server.example:2222: its name cannot be resolved',
  ],
  [
    'ssh: connect to host server.example port 2222: Connection refused',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: connection refused',
  ],
  [
    'ssh: connect to host server.example port 2222: Connection timed out',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: connection timed out',
  ],
  [
    'ssh: connect to host server.example port 2222: No route to host',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: no route to host',
  ],
  [
    'kex_exchange_identification: read: Connection reset by peer',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: read: connection reset by peer',
  ],
  [
    'kex_exchange_identification: Connection closed by remote host',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: connection closed by remote host',
  ],
  [
    'banner exchange: Connection to 127.0.0.1 port 2222: invalid format',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: invalid format',
  ],
  [
    'Connection timed out during banner exchange',
    'tunnel_unreachable',
    'could not connect to the SSH server server.example:2222: timed out during banner exchange',
  ],
  [
    'S3CRET@server.example: Permission denied (publickey,password).',
    'tunnel_rejected',
    'the SSH server server.example:2222 does not let you in: permission denied (publickey,password)',
  ],
  [
    'Received disconnect from 192.0.2.1 port 2222:2: Too many authentication failures',
    'tunnel_rejected',
    'the SSH server server.example:2222 does not let you in: too many keys were tried',
  ],
  [
    'Error: remote port forwarding failed for listen port 8080',
    'tunnel_rejected',
    'port 8080 is in use or forbidden at the SSH server server.example:2222',
  ],
  [
    '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
    'tunnel_rejected',
    'the SSH server server.example:2222 has another host key than before',
  ],
  [
    'Host key verification failed.',
    'tunnel_rejected',
    'the SSH server server.example:2222 has another host key than before',
  ],
  [
    'Unable to negotiate with 192.0.2.1 port 2222: no matching host key type found. Their offer: ssh-rsa,ssh-dss',
    'tunnel_rejected',
    'ssh and the server server.example:2222 have nothing in common: no matching host key type found',
  ],
])('%s', (line, code, message) => {
  const error = sshErrorIn(line, context);
  expect([error?.code, error?.message]).toEqual([code, message]);
  expect(error?.hints.length).toBeGreaterThan(0);
  for (const sentence of [error?.message ?? '', ...(error?.hints ?? [])]) {
    expect(sentence).not.toMatch(/^[A-Z]|\.$|S3CRET/);
  }
});

test.each([
  "Warning: Permanently added '[127.0.0.1]:2222' (ED25519) to the list of known hosts.",
  'connect_to 127.0.0.1 port 3000: failed.',
  'Allocated port 34567 for remote forward to 127.0.0.1:8080',
  'Connection to 127.0.0.1 closed by remote host.',
  'bash: ./x: Permission denied',
  'debug1: Authentications that can continue: publickey',
])('no error of the start: %s', (line) => {
  expect(sshErrorIn(line, context)).toBeUndefined();
});

test('the hint at another host key names the files', () => {
  expect(sshErrorIn('Host key verification failed.', context)?.hints.join(' ')).toContain(
    'delete its line from /home/me/.config/mcp-expose/known_hosts or ~/.ssh/known_hosts',
  );
});

test('where nothing in particular was asked for, nothing in particular is refused', () => {
  const line = 'Error: remote port forwarding failed for listen port 0';
  expect(sshErrorIn(line, { ...context, remote: '*:0' })?.message).toBe(
    'the SSH server server.example:2222 forwards nothing to us',
  );
});

test('a port may be held by our own lost connection: then it is worth another try', () => {
  const line = 'Error: remote port forwarding failed for listen port 8080';
  expect(sshErrorIn(line, { ...context, isRestart: true })?.code).toBe('tunnel_unavailable');
});
