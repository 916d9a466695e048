// Each service over a real ssh to a real sshd, which says what the service's server is documented to say.
import { describe, expect, test } from 'vitest';

import { createSshProvider } from '../../../../src/tunnel/providers/ssh/ssh.ts';
import type { SshServiceName } from '../../../../src/tunnel/providers/ssh/services.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import { createSshWorld } from './ssh-world.ts';
import { startSshd } from './sshd.ts';

const lhr = (host: string): string =>
  `${JSON.stringify({ event: 'tcpip-forward', authz_code: 'OK', address: host, listen_port: 80, message: `${host} tunneled with tls termination, https://${host}` })}\n`;

const sish = [
  'Press Ctrl-C to close the session.',
  '',
  'Starting SSH Forwarding service for \u001B[44m\u001B[37mhttp:80\u001B[0m. Forwarded connections can be accessed via the following methods:',
  'HTTP: \u001B[44m\u001B[37mhttp://k3v9.tunnel.example\u001B[0m',
  'Service console can be accessed here: \u001B[44m\u001B[37mhttps://k3v9.tunnel.example/_sish/console?x-authorization=S3CRET\u001B[0m',
  'HTTPS: \u001B[44m\u001B[37mhttps://k3v9.tunnel.example\u001B[0m',
  '',
].join('\r\n');

const services: readonly {
  readonly service: SshServiceName;
  readonly greeting: string;
  readonly urls: readonly string[];
  readonly command: string | undefined;
}[] = [
  {
    service: 'localhost.run',
    greeting: `${JSON.stringify({ event: 'authn', message: 'authenticated as anonymous user' })}\n${lhr('a1b2c3.lhr.life')}`,
    urls: ['https://a1b2c3.lhr.life'],
    command: '--output json',
  },
  {
    service: 'srv.us',
    greeting: '1: https://abcdefghijklmnopqrstuvwx23.srv.us/, https://me.gh.srv.us/\r\n',
    urls: ['https://abcdefghijklmnopqrstuvwx23.srv.us', 'https://me.gh.srv.us'],
    command: undefined,
  },
  {
    service: 'serveo',
    greeting:
      '\u001B[32mForwarding HTTP traffic from https://0a1b2c.serveousercontent.com\r\n\u001B[0mPress g to start a GUI session and ctrl-c to quit, see https://serveo.net\r\n',
    urls: ['https://0a1b2c.serveousercontent.com'],
    command: undefined,
  },
  {
    service: 'pinggy',
    greeting:
      'You are not authenticated.\r\nYour tunnel will expire in 60 minutes. Upgrade to Pinggy Pro to get unrestricted tunnels. https://dashboard.pinggy.io\r\n\r\nhttp://rnabc-1-2-3-4.run.pinggy-free.link\r\nhttps://rnabc-1-2-3-4.run.pinggy-free.link\r\n',
    urls: ['https://rnabc-1-2-3-4.run.pinggy-free.link'],
    command: 'x:https x:xff',
  },
  { service: 'sish', greeting: sish, urls: ['https://k3v9.tunnel.example'], command: undefined },
];

describe.each(services)('$service', ({ service, greeting, urls, command }) => {
  test('its URL is found, requests come through, a lost connection comes back, nothing is left', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting });
    const remote = await freePort();
    const { environment } = world;
    // A real sshd lets nobody in without a key.
    const keyFile = service === 'srv.us' || service === 'serveo' ? undefined : world.keyFile;
    const { tunnel, statuses, status } = await world.open(
      createSshProvider({ environment, service, destination: sshd.destination, remote: String(remote), keyFile }),
    );
    expect(tunnel.publicUrls).toEqual(urls);
    expect((await sshd.session(0)).command).toBe(command);
    expect((await world.through(remote, urls[0] ?? '')).status).toBe(200);
    expect(world.received[0]?.host).toBe(new URL(urls[0] ?? '').host);

    await sshd.dropConnections();
    await status(({ state }) => state === 'up');
    expect(statuses.map(({ state }) => state)).toEqual(['reconnecting', 'up']);
    expect(statuses[0]?.reason).toBe('ssh ended with code 255');
    expect((await world.through(remote, urls[0] ?? '')).status).toBe(200);
    expect(world.pids).toHaveLength(2);

    await tunnel.close();
    await world.expectNothingLeft();
  });
});

test('localhost.run: the name changes on the same connection', async () => {
  const world = await createSshWorld();
  const sshd = await startSshd({ greeting: lhr('first.lhr.life') });
  const { tunnel, statuses, status } = await world.open(
    createSshProvider({
      environment: world.environment,
      service: 'localhost.run',
      destination: sshd.destination,
      keyFile: world.keyFile,
      remote: '0',
    }),
  );
  const session = await sshd.session(0);
  session.say(lhr('first.lhr.life'));
  session.say(lhr('second.lhr.life'));
  await status(({ publicUrls }) => publicUrls[0] === 'https://second.lhr.life');
  expect(statuses).toEqual([{ state: 'up', publicUrls: ['https://second.lhr.life'] }]);
  expect(tunnel.publicUrls).toEqual(['https://second.lhr.life']);
  expect(world.pids).toHaveLength(1);
});

test('pinggy: it is known when the tunnel will end', async () => {
  const world = await createSshWorld();
  const sshd = await startSshd({ greeting: services.find(({ service }) => service === 'pinggy')?.greeting ?? '' });
  const before = Date.now();
  const { tunnel } = await world.open(
    createSshProvider({
      environment: world.environment,
      service: 'pinggy',
      destination: sshd.destination,
      keyFile: world.keyFile,
    }),
  );
  const inMs = (tunnel.expiresAt ?? 0) - before;
  expect(inMs).toBeGreaterThanOrEqual(60 * 60_000);
});

test('--tunnel ssh to a server whose dialect is known speaks it', async () => {
  const sshd = await startSshd({ greeting: lhr('a1b2c3.lhr.life') });
  const world = await createSshWorld({ resolve: [`localhost.run:${sshd.port}:127.0.0.1`] });
  const destination = sshd.destination.replace('127.0.0.1', 'localhost.run');
  const { environment, keyFile } = world;
  const provider = createSshProvider({ environment, service: 'ssh', destination, keyFile, remote: '0' });
  expect(provider.name).toBe('localhost.run');
  const { tunnel } = await world.open(provider);
  expect(tunnel.publicUrls).toEqual(['https://a1b2c3.lhr.life']);
});

test('what the user says of the URL stands', async () => {
  const world = await createSshWorld();
  const sshd = await startSshd({ greeting: sish });
  const { tunnel } = await world.open(
    createSshProvider({
      environment: world.environment,
      service: 'sish',
      destination: sshd.destination,
      keyFile: world.keyFile,
      remote: '0',
      publicUrl: 'https://mcp.example',
    }),
  );
  expect(tunnel.publicUrls).toEqual(['https://mcp.example']);
});

describe('a name', () => {
  const greeting = 'HTTP: http://mine.tunnel.example\r\nHTTPS: https://mine.tunnel.example\r\n';

  test('that is given', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting });
    const { environment } = world;
    const { tunnel } = await world.open(
      createSshProvider({
        environment,
        service: 'sish',
        destination: sshd.destination,
        keyFile: world.keyFile,
        remote: '0',
        name: 'mine',
      }),
    );
    expect(tunnel.publicUrls).toEqual(['https://mine.tunnel.example']);
  });

  test('that is not given is an error, never silently another one', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting });
    const { environment } = world;
    const error = await world.refusal(
      createSshProvider({
        environment,
        service: 'sish',
        destination: sshd.destination,
        keyFile: world.keyFile,
        remote: '0',
        name: 'yours',
      }),
    );
    expect(error.code).toBe('tunnel_rejected');
    expect(error.message).toBe('sish did not give the name yours, but mine.tunnel.example');
    await world.expectNothingLeft();
  });

  test('that serveo does not give: the key has to be registered', async () => {
    const world = await createSshWorld();
    const sshd = await startSshd({ greeting: 'Forwarding HTTP traffic from https://0a1b2c.serveo.net\r\n' });
    const { environment } = world;
    const error = await world.refusal(
      createSshProvider({ environment, service: 'serveo', destination: sshd.destination, remote: '0', name: 'mine' }),
    );
    expect(error.code).toBe('tunnel_rejected');
    expect(error.hints.join(' ')).toContain('registered keys');
  });
});

test('localhost.run: a refusal in its own words', async () => {
  const world = await createSshWorld();
  const refused = {
    event: 'tcpip-forward',
    authz_code: 'DENIED',
    address: '',
    message: 'you are not authorised for it',
  };
  const sshd = await startSshd({ greeting: `${JSON.stringify(refused)}\n` });
  const { environment, keyFile } = world;
  const error = await world.refusal(
    createSshProvider({ environment, service: 'localhost.run', destination: sshd.destination, keyFile, remote: '0' }),
  );
  expect([error.code, error.message]).toEqual([
    'tunnel_rejected',
    'localhost.run gives no tunnel: you are not authorised for it',
  ]);
  await world.expectNothingLeft();
});
