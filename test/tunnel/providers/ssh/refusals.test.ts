// Why there is no tunnel, as the real ssh says it, and what becomes of that.
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

import type { ExposeError } from '../../../../src/errors.ts';
import { createSshProvider } from '../../../../src/tunnel/providers/ssh/ssh.ts';
import type { SshProviderOptions } from '../../../../src/tunnel/providers/ssh/plan.ts';
import { freePort, listenOnLoopback } from '../../../harness/loopback-server.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createSshWorld, type SshWorld } from './ssh-world.ts';
import { fingerprintOf, makeKey, startSshd } from './sshd.ts';

async function refusalOf(
  world: SshWorld,
  options: Omit<SshProviderOptions, 'environment' | 'service'>,
): Promise<ExposeError> {
  const { environment, keyFile } = world;
  const error = await world.refusal(createSshProvider({ environment, service: 'ssh', keyFile, ...options }));
  await world.expectNothingLeft();
  return error;
}

test('no such host', async () => {
  const error = await refusalOf(await createSshWorld(), { destination: 'me@nowhere.invalid' });
  expect([error.code, error.message]).toEqual([
    'tunnel_unreachable',
    'there is no SSH server nowhere.invalid: its name cannot be resolved',
  ]);
});

test('nobody listens', async () => {
  const destination = `me@127.0.0.1:${await freePort()}`;
  const error = await refusalOf(await createSshWorld(), { destination });
  expect([error.code, error.message]).toEqual([
    'tunnel_unreachable',
    `could not connect to the SSH server ${destination.slice(3)}: connection refused`,
  ]);
});

test.each([
  ['hangs up', ''],
  ['speaks something else', 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'],
])('whoever listens %s', async (_what, words) => {
  const port = await listenOnLoopback(createServer((socket) => socket.on('error', () => undefined).end(words)));
  const error = await refusalOf(await createSshWorld(), { destination: `me@127.0.0.1:${port}` });
  expect(error.code).toBe('tunnel_unreachable');
  expect(error.message).toContain(`could not connect to the SSH server 127.0.0.1:${port}: `);
});

test('a key that it does not know', async () => {
  const sshd = await startSshd({ authorizedKeys: [] });
  const error = await refusalOf(await createSshWorld(), sshd);
  expect([error.code, error.message]).toEqual([
    'tunnel_rejected',
    `the SSH server 127.0.0.1:${sshd.port} does not let you in: permission denied (publickey)`,
  ]);
  expect(error.hints.join(' ')).toContain('--ssh-key');
});

test.each(['ssh', 'pinggy', 'localhost.run', 'serveo'] as const)(
  '%s: a password is not waited for',
  async (service) => {
    const config = ['PasswordAuthentication yes', 'AuthenticationMethods password'];
    const { destination } = await startSshd({ config });
    const world = await createSshWorld();
    const { environment } = world;
    const error = await world.refusal(createSshProvider({ environment, service, destination }));
    expect(error.message).toContain('does not let you in: permission denied (password)');
    await world.expectNothingLeft();
  },
);

test.each([
  ['localhost.run', []],
  ['pinggy', []],
  ['serveo', ['id_ed25519_serveo']],
  ['srv.us', ['id_ed25519_srv.us']],
] as const)('%s is shown no key but %j', async (service, keys) => {
  const sshd = await startSshd({ authorizedKeys: [], config: ['LogLevel DEBUG1'] });
  const world = await createSshWorld();
  await world.refusal(createSshProvider({ environment: world.environment, service, destination: sshd.destination }));
  const shown = [...sshd.log().matchAll(/test pkalg \S+ pkblob ED25519 (\S+)/g)].map(([, fingerprint]) => fingerprint);
  const folder = path.join(world.home, '.config', 'mcp-expose');
  expect(new Set(shown)).toEqual(new Set(keys.map((key) => fingerprintOf(path.join(folder, key)))));
  expect(sshd.log()).toContain('service ssh-connection method none');
  expect(readdirSync(folder).filter((name) => name.startsWith('id_') && !name.endsWith('.pub'))).toEqual(keys);
});

test('forwarding is forbidden', async () => {
  const sshd = await startSshd({ config: ['AllowTcpForwarding no'] });
  const error = await refusalOf(await createSshWorld(), sshd);
  expect([error.code, error.message]).toEqual([
    'tunnel_rejected',
    `the SSH server 127.0.0.1:${sshd.port} forwards nothing to us`,
  ]);
  expect(error.hints.join(' ')).toContain('AllowTcpForwarding');
});

test('the port is in use', async () => {
  const { destination, port } = await startSshd();
  const remote = await listenOnLoopback(createServer());
  const error = await refusalOf(await createSshWorld(), { destination, remote: String(remote) });
  expect([error.code, error.message]).toEqual([
    'tunnel_rejected',
    `port ${remote} is in use or forbidden at the SSH server 127.0.0.1:${port}`,
  ]);
  expect(error.hints.join(' ')).toContain('--ssh-remote');
});

describe('another host key', () => {
  test('at the start: an error that names the file', async () => {
    const world = await createSshWorld();
    const { environment, keyFile } = world;
    const first = await startSshd();
    const options = { environment, service: 'ssh', keyFile, destination: first.destination, remote: '0' } as const;
    await (await world.open(createSshProvider(options))).tunnel.close();
    await first.stop();
    await startSshd({ port: first.port });
    const error = await world.refusal(createSshProvider(options));
    expect([error.code, error.message]).toEqual([
      'tunnel_rejected',
      `the SSH server 127.0.0.1:${first.port} has another host key than before`,
    ]);
    expect(error.hints.join(' ')).toContain(path.join(world.home, '.config', 'mcp-expose', 'known_hosts'));
  });

  test('later: the tunnel is down for good', async () => {
    const world = await createSshWorld();
    const { environment, keyFile } = world;
    const first = await startSshd();
    const { status } = await world.open(
      createSshProvider({ environment, service: 'ssh', keyFile, destination: first.destination }),
    );
    await first.stop();
    await startSshd({ port: first.port });
    const down = await status(({ state }) => state === 'down');
    expect(down.reason).toContain('has another host key than before');
    await world.expectNothingLeft();
  });
});

describe('ssh is not installed', () => {
  test('said beforehand, and when it is tried all the same', async () => {
    const world = await createSshWorld();
    const environment = { ...world.environment, env: { ...world.environment.env, PATH: temporaryDirectory() } };
    const provider = createSshProvider({
      environment,
      service: 'ssh',
      keyFile: world.keyFile,
      destination: 'box.example',
    });
    expect(await provider.unusable?.(new AbortController().signal)).toBe('ssh is not installed');
    const error = await world.refusal(provider);
    expect([error.code, error.message]).toEqual(['tunnel_not_installed', 'ssh is not installed']);
    expect(error.hints.join(' ')).toContain('openssh-client');
  });
});

describe('settings that cannot be', () => {
  test.each([
    [{ service: 'ssh' }, 'usage', '--tunnel ssh does not say which server to use'],
    [{ service: 'sish' }, 'usage', '--tunnel sish does not say which server to use'],
    [{ service: 'ssh', destination: '-oX' }, 'usage', '"-oX" names no SSH server'],
    [{ service: 'localhost.run', name: 'mine' }, 'usage', 'localhost.run cannot be asked for a name'],
    [{ service: 'srv.us', name: 'mine' }, 'usage', 'srv.us cannot be asked for a name'],
    [{ service: 'pinggy', name: 'mine' }, 'usage', 'pinggy cannot be asked for a name'],
    [{ service: 'ssh', destination: 'box', name: 'mine' }, 'usage', 'ssh cannot be asked for a name'],
    [{ service: 'serveo', name: '-oX' }, 'usage', '"-oX" cannot be the name of a host'],
    [{ service: 'serveo', name: 'a:b' }, 'usage', '"a:b" cannot be the name of a host'],
    [{ service: 'serveo', keyFile: '/nowhere/key' }, 'usage', 'there is no SSH key /nowhere/key'],
    [{ service: 'serveo', keyFile: '/' }, 'usage', 'there is no SSH key /'],
  ] as const)('%j', async (options, code, message) => {
    const { environment } = await createSshWorld();
    expect(() => createSshProvider({ environment, ...options })).toThrow(expect.objectContaining({ code, message }));
  });

  test('a key that others can read', async () => {
    const { environment } = await createSshWorld();
    const keyFile = path.join(temporaryDirectory(), 'key');
    makeKey(keyFile);
    chmodSync(keyFile, 0o644);
    expect(() => createSshProvider({ environment, service: 'serveo', keyFile })).toThrow(
      expect.objectContaining({ code: 'tunnel_unavailable', hints: [`make it yours alone: chmod 600 '${keyFile}'`] }),
    );
  });

  test('a token that would be more than a token', async () => {
    const { environment } = await createSshWorld({ env: { PINGGY_TOKEN: 'x\nProxyCommand touch /tmp/x' } });
    expect(() => createSshProvider({ environment, service: 'pinggy' })).toThrow(
      expect.objectContaining({ code: 'usage', message: 'PINGGY_TOKEN is not a token of Pinggy' }),
    );
  });
});

test('a key of the user’s that is no key: ssh’s own words are shown', async () => {
  const sshd = await startSshd();
  const keyFile = path.join(temporaryDirectory(), 'key');
  writeFileSync(keyFile, 'no key', { mode: 0o600 });
  const error = await refusalOf(await createSshWorld(), { ...sshd, keyFile });
  expect(error.message).toContain('does not let you in: permission denied (publickey)');
});
