// How ssh is called for each service where it really is, and Pinggy with a token: only its own server would take that.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

import { systemClock } from '../../../../src/platform/clock.ts';
import { createSshProvider } from '../../../../src/tunnel/providers/ssh/ssh.ts';
import type { SshProviderOptions } from '../../../../src/tunnel/providers/ssh/plan.ts';
import { eventually } from '../../../harness/eventually.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { fieldsOf } from '../../relay/world.ts';
import { targetThat } from '../binary-world.ts';
import { createSshWorld, type SshWorld } from './ssh-world.ts';

const says = {
  'localhost.run': '{"event":"tcpip-forward","address":"a1b2.lhr.life"}',
  'srv.us': '1: https://abcdefghijklmnopqrstuvwx23.srv.us/',
  serveo: 'Forwarding HTTP traffic from https://mine.serveo.net',
  pinggy: 'https://rnabc.run.pinggy-free.link',
  sish: 'HTTPS: https://mine.tunnel.example',
  ssh: 'https://k3v9.example',
} as const;

async function standInWorld(
  scenario: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): Promise<SshWorld> {
  const world = await createSshWorld({ programs: { ssh: 'ssh' }, env });
  world.setScenario(scenario);
  return world;
}

/** The arguments of the only call that opened a tunnel, with what differs from run to run named. */
function argumentsIn(world: SshWorld, port: number): string[] {
  const [call, ...others] = world.calls().filter(({ args }) => args.includes('-R'));
  expect(others).toEqual([]);
  return (call?.args ?? []).map((word) =>
    word
      .replaceAll(path.join(world.home, '.config', 'mcp-expose'), '<config>')
      .replace(`:127.0.0.1:${port}`, ':<local>'),
  );
}

const common = [
  '-o ExitOnForwardFailure=yes',
  '-o ServerAliveInterval=15',
  '-o ServerAliveCountMax=3',
  '-o ConnectTimeout=15',
  '-o StrictHostKeyChecking=accept-new',
];
const rest = [
  '-o NumberOfPasswordPrompts=1',
  '-o ControlMaster=no',
  '-o ControlPath=none',
  '-o PermitLocalCommand=no',
  '-o RemoteCommand=none',
];
/** With a key of ours that nobody else is shown, or with none. */
const anonymous = (key?: string, isBatch = false): readonly string[] => [
  '-F none -T -a -x',
  ...common,
  '-o UserKnownHostsFile="<config>/known_hosts"',
  '-o LogLevel=INFO',
  `-o BatchMode=${isBatch ? 'yes' : 'no'}`,
  ...rest,
  ...(key === undefined
    ? ['-o PubkeyAuthentication=no']
    : [`-o IdentityFile="<config>/${key}"`, '-o IdentitiesOnly=yes']),
  '-o IdentityAgent=none',
];
const own = [
  ...common,
  '-o UserKnownHostsFile="<config>/known_hosts" "~/.ssh/known_hosts"',
  '-o LogLevel=INFO',
  '-o BatchMode=yes',
  ...rest,
];
const verbose = (options: readonly string[]): string[] => options.map((option) => option.replace('INFO', 'DEBUG1'));

const called: readonly (readonly [Omit<SshProviderOptions, 'environment'>, readonly string[]])[] = [
  [{ service: 'localhost.run' }, [...anonymous(), '-R 80:<local> -l nokey localhost.run -- --output json']],
  [{ service: 'srv.us' }, [...anonymous('id_ed25519_srv.us', true), '-R 1:<local> -l mcp-expose srv.us']],
  [{ service: 'serveo' }, [...anonymous('id_ed25519_serveo'), '-R 80:<local> -l mcp-expose serveo.net']],
  [
    { service: 'serveo', name: 'mine' },
    [...anonymous('id_ed25519_serveo'), '-R mine:80:<local> -l mcp-expose serveo.net'],
  ],
  [{ service: 'pinggy' }, [...anonymous(), '-R 0:<local> -p 443 -l mcp-expose free.pinggy.io -- x:https x:xff']],
  [
    { service: 'sish', destination: 'tunnel.example:2222', name: 'mine' },
    ['-T -a -x', ...own, '-R mine:80:<local> -p 2222 tunnel.example'],
  ],
  [
    { service: 'ssh', destination: 'me@box.example' },
    ['-T -a -x', ...verbose(own), '-R *:0:<local> -l me box.example -- cat'],
  ],
  [
    { service: 'ssh', destination: 'box.example', remote: '8080', publicUrl: 'https://mcp.example' },
    ['-T -a -x -N', ...verbose(own), '-R 8080:<local> box.example'],
  ],
  [
    { service: 'ssh', destination: 'box.example', publicUrl: 'https://mcp.example' },
    ['-T -a -x -N', ...verbose(own), '-R 0:<local> box.example'],
  ],
];

describe('ssh is called', () => {
  test.each(called)('%j', async (options, words) => {
    const line = says[options.service];
    // The server's answer to what plain forwarding asks for.
    const complains = [
      ['debug1: remote forward success for: listen 8080, connect x', 'Allocated port 8080 for remote forward to x'],
    ];
    const world = await standInWorld({ says: [[line]], complains });
    let port = 0;
    const provider = createSshProvider({ environment: world.environment, ...options });
    await world.open({
      ...provider,
      open: (target, more) =>
        provider.open(
          {
            ...target,
            listen: async () => {
              const listener = await target.listen();
              port = listener.port;
              return listener;
            },
          },
          more,
        ),
    });
    expect(argumentsIn(world, port).join(' ')).toBe(words.join(' '));
  });

  test('with nothing of ours in its environment, and never asks by a window', async () => {
    const world = await standInWorld(
      { says: [[says.serveo]] },
      { MCP_EXPOSE_TOKEN: 'S3CRET', SSH_AUTH_SOCK: '/agent', DISPLAY: ':0' },
    );
    await world.open(createSshProvider({ environment: world.environment, service: 'serveo' }));
    const [call] = world.calls();
    expect(call?.env['SSH_ASKPASS_REQUIRE']).toBe('never');
    expect(JSON.stringify(call?.env)).not.toMatch(/S3CRET|SSH_AUTH_SOCK|DISPLAY/);
  });
});

/** What the configurations held that ssh was given. */
function configurations(world: SshWorld): Record<string, unknown>[] {
  return readFileSync(configurationFile(world), 'utf8').trim().split('\n').map(fieldsOf);
}

function configurationFile(world: SshWorld): string {
  return path.join(path.dirname(world.home), 'stage', 'configurations.jsonl');
}

describe('pinggy with a token', () => {
  const env = { PINGGY_TOKEN: 'S3CRETtoken' };
  const lines = ['http://mine.a.pinggy.link', 'https://mine.a.pinggy.link'];
  const taken = ['A tunnel with the same token S3CRETtoken is already active'];

  test('shows it to nobody on this machine', async () => {
    const world = await standInWorld({ says: [lines] }, env);
    const provider = createSshProvider({ environment: world.environment, service: 'pinggy' });
    expect(provider.capabilities.account).toBe('needed');
    const { tunnel } = await world.open(provider);
    expect(tunnel.publicUrls).toEqual(['https://mine.a.pinggy.link']);
    const [call] = world.calls();
    expect(JSON.stringify(call)).not.toContain('S3CRET');
    expect(call?.args.join(' ')).toMatch(/ -p 443 pro\.pinggy\.io -- x:https x:xff$/);
    const [configuration] = configurations(world);
    expect([configuration?.['text'], configuration?.['mode']]).toEqual(['User S3CRETtoken\n', 0o600]);
    expect(existsSync(String(configuration?.['file']))).toBe(false);
  });

  test('takes the place of a tunnel that it has already, and says so', async () => {
    const world = await standInWorld({ says: [taken, lines] }, env);
    const { tunnel, warnings } = await world.open(
      createSshProvider({ environment: world.environment, service: 'pinggy' }),
    );
    expect(tunnel.publicUrls).toEqual(['https://mine.a.pinggy.link']);
    expect(configurations(world).map(({ text }) => text)).toEqual(['User S3CRETtoken\n', 'User S3CRETtoken+force\n']);
    expect(warnings).toEqual(['the token had a tunnel already, which was ended']);
    expect(world.alive()).toHaveLength(1);
  });

  test('lets another run take its place, and does not take it back', async () => {
    let now = Date.now();
    const world = await standInWorld({ says: [lines, taken] }, env);
    const environment = { ...world.environment, clock: { ...systemClock, now: () => now } };
    const { tunnel, statuses, status } = await world.open(createSshProvider({ environment, service: 'pinggy' }));
    killIfAlive(world.alive()[0]?.pid ?? 0);
    const tries = async (count: number): Promise<void> =>
      await eventually(() => expect(world.calls().length).toBeGreaterThanOrEqual(count), 15_000);
    // The tunnel that there is may be our own, lost one.
    await tries(3);
    expect(statuses.map(({ state }) => state)).toEqual(['reconnecting', 'reconnecting']);
    now += 120_000;
    const down = await status(({ state }) => state === 'down');
    expect(down.reason).toBe('another run has taken the tunnel of this Pinggy token');
    expect(configurations(world).map(({ text }) => text)).not.toContain('User S3CRETtoken+force\n');
    expect(world.alive()).toEqual([]);
    await tunnel.close();
  });

  test('comes back when its own lost tunnel is gone', async () => {
    const world = await standInWorld({ says: [lines, taken, lines] }, env);
    const { status } = await world.open(createSshProvider({ environment: world.environment, service: 'pinggy' }));
    killIfAlive(world.alive()[0]?.pid ?? 0);
    await status(({ state }) => state === 'up');
    expect(world.calls()).toHaveLength(3);
  });

  test('that has a tunnel which does not give way', async () => {
    const world = await standInWorld({ says: [taken] }, env);
    const error = await world.refusal(createSshProvider({ environment: world.environment, service: 'pinggy' }));
    expect([error.code, error.message]).toEqual([
      'tunnel_unavailable',
      'Pinggy does not let go of the tunnel that the token has already',
    ]);
    expect(world.calls()).toHaveLength(2);
  });

  test('lies in no file any more when the server has said a first word, whatever becomes of the start', async () => {
    const world = await standInWorld({ says: [['hello']] }, env);
    const abort = new AbortController();
    const opened = createSshProvider({ environment: world.environment, service: 'pinggy' }).open(
      targetThat((_request, response) => void response.end()),
      { signal: abort.signal, onStatus() {}, onWarning() {} },
    );
    opened.catch(() => {});
    await eventually(() => expect(existsSync(configurationFile(world))).toBe(true), 15_000);
    await eventually(() => {
      const [configuration] = configurations(world);
      expect(configuration?.['text']).toBe('User S3CRETtoken\n');
      expect(existsSync(String(configuration?.['file']))).toBe(false);
    }, 15_000);
    expect(world.alive()).toHaveLength(1);
    abort.abort(new Error('too late'));
    await expect(opened).rejects.toThrow('too late');
  });

  test('is not shown in an error either', async () => {
    const complains = [['S3CRETtoken@pro.pinggy.io: Permission denied (publickey).']];
    const world = await standInWorld({ complains, ends: [true] }, env);
    const error = await world.refusal(createSshProvider({ environment: world.environment, service: 'pinggy' }));
    expect(error.code).toBe('tunnel_rejected');
    expect(`${error.message} ${error.hints.join(' ')}`).not.toContain('S3CRET');
  });

  test('nor in its last words', async () => {
    const world = await standInWorld(
      { says: [['hello S3CRETtoken', 'console: https://x.example/?x-authorization=S3CRET']], ends: [true] },
      env,
    );
    const error = await world.refusal(createSshProvider({ environment: world.environment, service: 'pinggy' }));
    expect(error.hints).toEqual(['ssh said: hello …', 'ssh said: console: https://x.example/?…']);
  });
});

test('what ssh says to its developers is not shown', async () => {
  const complains = [['debug1: Reading configuration data', 'kaboom', 'debug1: Exit status -1']];
  const world = await standInWorld({ complains, ends: [true] });
  const error = await world.refusal(
    createSshProvider({ environment: world.environment, service: 'ssh', destination: 'box.example' }),
  );
  expect([error.message, error.hints]).toEqual(['ssh ended with code 255 before it had a URL', ['ssh said: kaboom']]);
});
