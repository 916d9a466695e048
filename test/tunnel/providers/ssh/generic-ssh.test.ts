// Any sshd, which is a real one here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

import { createSshProvider } from '../../../../src/tunnel/providers/ssh/ssh.ts';
import { eventually } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createSshWorld, type SshWorld } from './ssh-world.ts';
import { fingerprintOf, startSshd, type Sshd } from './sshd.ts';

function provider(
  { environment, keyFile }: SshWorld,
  { destination }: Sshd,
  more: { readonly remote?: string; readonly publicUrl?: string } = {},
): ReturnType<typeof createSshProvider> {
  return createSshProvider({ environment, service: 'ssh', destination, keyFile, ...more });
}

const portOf = (url: string | undefined): number => Number(new URL(url ?? '').port);

describe('a server that says nothing', () => {
  test('is where the tunnel is, at a port of its choice; a lost connection comes back; nothing is left', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd();
    const { tunnel, statuses, status } = await world.open(provider(world, sshd));
    const [url = ''] = tunnel.publicUrls;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await world.through(portOf(url), url)).status).toBe(200);
    expect((await sshd.session(0)).command).toBe('cat');

    await sshd.dropConnections();
    const up = await status(({ state }) => state === 'up');
    expect(statuses.map(({ state }) => state)).toEqual(['reconnecting', 'up']);
    expect((await world.through(portOf(up.publicUrls[0]), up.publicUrls[0] ?? '')).status).toBe(200);

    await tunnel.close();
    await world.expectNothingLeft();
    await expect(world.through(portOf(up.publicUrls[0]), url)).rejects.toThrow('ECONNREFUSED');
  });

  test('listens where it was told to, also after a lost connection', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd();
    const remote = await freePort();
    const { tunnel, status } = await world.open(provider(world, sshd, { remote: `127.0.0.1:${remote}` }));
    expect(tunnel.publicUrls).toEqual([`http://127.0.0.1:${remote}`]);
    expect((await world.through(remote, tunnel.publicUrls[0] ?? '')).status).toBe(200);
    await sshd.dropConnections();
    expect((await status(({ state }) => state === 'up')).publicUrls).toEqual([`http://127.0.0.1:${remote}`]);
    expect((await world.through(remote, tunnel.publicUrls[0] ?? '')).status).toBe(200);
  });

  test('is waited for while the port is still in use after a lost connection', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd();
    const remote = await freePort();
    const { status } = await world.open(provider(world, sshd, { remote: String(remote) }));
    // As fast as the port becomes free, somebody else has it.
    const duplicateKey = createServer((socket) => socket.destroy());
    atEnd('test', () => void duplicateKey.close());
    await sshd.stop();
    duplicateKey.listen(remote, '127.0.0.1');
    await once(duplicateKey, 'listening');
    const again = await startSshd({ port: sshd.port, hostKey: sshd.hostKey });
    await status(
      ({ reason }) => reason === `port ${remote} is in use or forbidden at the SSH server 127.0.0.1:${again.port}`,
    );
    duplicateKey.close();
    await status(({ state }) => state === 'up');
    expect((await world.through(remote, `http://127.0.0.1:${remote}`)).status).toBe(200);
  });
});

describe('a server that says its URL', () => {
  test('and a second one on the same connection', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting: 'your tunnel is http://k3v9.example and https://k3v9.example/\n' });
    const { tunnel, status } = await world.open(provider(world, sshd));
    expect(tunnel.publicUrls).toEqual(['https://k3v9.example']);
    (await sshd.session(0)).say('it has moved to https://x7.example\n');
    await status(({ publicUrls }) => publicUrls[0] === 'https://x7.example');
    expect(world.pids).toHaveLength(1);
  });

  test('late, when its own address was taken for it', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd();
    const { tunnel, status } = await world.open(provider(world, sshd));
    expect(tunnel.publicUrls[0]).toMatch(/^http:\/\/127\.0\.0\.1:/);
    (await sshd.session(0)).say('https://late.example\n');
    await status(({ publicUrls }) => publicUrls[0] === 'https://late.example');
  });

  test('not in its banner, where links of all kinds are', async () => {
    const world = await createSshWorld();
    const banner = path.join(temporaryDirectory(), 'banner');
    writeFileSync(banner, 'Authorised users only, see\nhttps://policy.example\n');
    const sshd = await startSshd({ config: [`Banner ${banner}`] });
    const { tunnel } = await world.open(provider(world, sshd));
    expect(tunnel.publicUrls[0]).toMatch(/^http:\/\/127\.0\.0\.1:/);
  });

  test('is not asked when the user says it: no session is opened', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting: 'https://other.example\n' });
    const remote = await freePort();
    const publicUrl = 'https://mcp.example';
    const { tunnel, statuses } = await world.open(provider(world, sshd, { remote: String(remote), publicUrl }));
    expect((await world.through(remote, publicUrl)).status).toBe(200);
    expect([tunnel.publicUrls, statuses, sshd.sessions]).toEqual([[publicUrl], [], []]);
    await tunnel.close();
    await world.expectNothingLeft();
  });
});

describe('an account that may only forward', () => {
  test.each([
    ['ends every session at once', 'ForceCommand /bin/false'],
    ['gets no session', 'MaxSessions 0'],
  ])('%s', async (_what, line) => {
    const world = await createSshWorld();
    const sshd = await startSshd({ config: [line] });
    const { tunnel, statuses, status } = await world.open(provider(world, sshd));
    const [url = ''] = tunnel.publicUrls;
    expect((await world.through(portOf(url), url)).status).toBe(200);
    expect(world.pids).toHaveLength(2);
    expect(statuses).toEqual([]);
    // That is remembered.
    await sshd.dropConnections();
    await status(({ state }) => state === 'up');
    expect(world.pids).toHaveLength(3);
  });

  test('ends the session later: the next connection does without', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd();
    const { tunnel, status } = await world.open(provider(world, sshd));
    (await sshd.session(0)).end();
    const up = await status(({ state }) => state === 'up');
    expect((await world.through(portOf(up.publicUrls[0]), up.publicUrls[0] ?? '')).status).toBe(200);
    expect(sshd.sessions).toHaveLength(1);
    await tunnel.close();
    await world.expectNothingLeft();
  });
});

/** An ssh-agent with one key; returns its socket and the key's fingerprint. */
async function startAgent(world: SshWorld): Promise<{ socket: string; fingerprint: string }> {
  const socket = path.join(temporaryDirectory(), 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  atEnd('test', () => killIfAlive(agent.pid ?? 0));
  await eventually(async () => {
    const adding = spawn('ssh-add', ['-q', world.keyFile], {
      stdio: 'ignore',
      env: { ...process.env, SSH_AUTH_SOCK: socket },
    });
    const [code] = await once(adding, 'exit');
    if (code !== 0) throw new Error(`ssh-add ended with ${code}`);
  });
  return { socket, fingerprint: fingerprintOf(world.keyFile) };
}

describe('keys of an agent', () => {
  test('are shown to a server of the user’s own, and to no service for everybody', async () => {
    const world = await createSshWorld();
    const { socket, fingerprint } = await startAgent(world);
    const environment = { ...world.environment, env: { ...world.environment.env, SSH_AUTH_SOCK: socket } };

    const own = await startSshd();
    await world.open(createSshProvider({ environment, service: 'ssh', destination: own.destination }));
    expect(own.log()).toContain(fingerprint);

    const service = await startSshd({ greeting: '1: https://abcdefghijklmnopqrstuvwx23.srv.us/\n' });
    await world.open(
      createSshProvider({ environment, service: 'srv.us', destination: service.destination, remote: '0' }),
    );
    expect(service.log()).toContain('Accepted publickey');
    expect(service.log()).not.toContain(fingerprint);
  });
});

test('a host and port for which the user has an address', async () => {
  const sshd = await startSshd();
  const world = await createSshWorld({ resolve: [`box.example:${sshd.port}:127.0.0.1`] });
  const remote = await freePort();
  const destination = sshd.destination.replace('127.0.0.1', 'box.example');
  const { environment, keyFile } = world;
  const { tunnel } = await world.open(
    createSshProvider({ environment, service: 'ssh', destination, keyFile, remote: String(remote) }),
  );
  expect(tunnel.publicUrls).toEqual([`http://box.example:${remote}`]);
  expect((await world.through(remote, tunnel.publicUrls[0] ?? '')).status).toBe(200);
});

test('it says who can read the traffic, and where it is not encrypted', async () => {
  const { environment } = await createSshWorld();
  const options = { environment, service: 'ssh', destination: 'me@box.example' } as const;
  expect(createSshProvider(options).notice).toBe(
    'the operator of box.example can read the traffic, including the token; unless its URL begins with https, it is not encrypted between box.example and the client either',
  );
  expect(createSshProvider({ ...options, publicUrl: 'https://mcp.example' }).notice).toBe(
    'the operator of box.example can read the traffic, including the token',
  );
});
