import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { createDeferred } from '../../../../src/platform/deferred.ts';
import { ExposeError } from '../../../../src/errors.ts';
import { capabilities } from '../../../../src/tunnel/capabilities.ts';
import {
  createExternalProvider,
  type StartTunnelSession,
} from '../../../../src/tunnel/providers/external/external-provider.ts';
import { TunnelProgram } from '../../../../src/tunnel/providers/external/tunnel-program.ts';
import type { TunnelSession } from '../../../../src/tunnel/reconnect.ts';
import type { TunnelProvider, TunnelTarget } from '../../../../src/tunnel/provider.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createMachine } from './programs.ts';

interface World {
  readonly provider: TunnelProvider;
  readonly target: TunnelTarget;
  /** What has happened, in order. */
  readonly events: string[];
}

function createWorld(start: StartTunnelSession): World {
  const events: string[] = [];
  const provider = createExternalProvider({
    environment: createMachine(),
    capabilities: capabilities.cloudflared,
    start,
  });
  const target: TunnelTarget = {
    handler() {},
    localPort: 1,
    async listen() {
      events.push('listens');
      return { port: 4321, close: async () => void events.push('port is free') };
    },
  };
  return { provider, target, events };
}

const options = { signal: new AbortController().signal, onStatus() {}, onWarning() {} };

test('it leads to a listener of its own, which ends after it', async () => {
  const ended = createDeferred<ExposeError>();
  const { provider, target, events } = createWorld(async ({ port }) => {
    events.push(`starts to ${port}`);
    const session: TunnelSession = {
      publicUrls: ['https://a.example'],
      expiresAt: 7,
      ended: ended.promise,
      async close() {
        events.push('ends');
        ended.resolve(new ExposeError('tunnel_unavailable', 'closed'));
      },
    };
    return session;
  });
  const tunnel = await provider.open(target, options);
  expect([tunnel.publicUrls, tunnel.expiresAt, typeof tunnel.redial]).toEqual([['https://a.example'], 7, 'function']);
  await tunnel.close();
  expect(events.slice(0, 2)).toEqual(['listens', 'starts to 4321']);
  expect([events.includes('ends'), events.at(-1)]).toEqual([true, 'port is free']);
});

test('when it does not start, its listener is closed', async () => {
  const { provider, target, events } = createWorld(() => Promise.reject(new ExposeError('tunnel_unavailable', 'no')));
  await expect(provider.open(target, options)).rejects.toThrow('no');
  expect(events).toEqual(['listens', 'port is free']);
});

test('what a killed run has left behind is gone before it starts', async () => {
  const root = temporaryDirectory();
  vi.stubEnv('TMPDIR', root);
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const left = path.join(root, `mcp-expose-pinggy-${pid}-abcDEF`);
  mkdirSync(left);
  const { provider, target, events } = createWorld(() => {
    events.push(existsSync(left) ? 'still there' : 'gone');
    return Promise.reject(new ExposeError('tunnel_unavailable', 'no'));
  });
  await expect(provider.open(target, options)).rejects.toThrow('no');
  expect(events).toContain('gone');
});

test('nothing is begun when nobody wants it any more', async () => {
  const { provider, target, events } = createWorld(() => Promise.reject(new Error('must not start')));
  const signal = AbortSignal.abort(new Error('too late'));
  await expect(provider.open(target, { ...options, signal })).rejects.toThrow('too late');
  expect(events).toEqual([]);
});

test('it is called as its row says, and may say more of itself', async () => {
  const shared = {
    environment: createMachine(),
    capabilities: capabilities.tailscale,
    start: () => Promise.reject(new Error()),
  };
  const provider = createExternalProvider(shared);
  expect([provider.name, provider.capabilities]).toEqual(['tailscale', capabilities.tailscale]);
  expect(await provider.unusable?.(options.signal)).toBeUndefined();
  expect(provider.notice).toContain('cannot read it');
  const other = createExternalProvider({ ...shared, notice: 'beware', unusable: async () => 'it is off' });
  expect([other.notice, await other.unusable?.(options.signal)]).toEqual(['beware', 'it is off']);
});

test('without its program it is unusable, and no session is started', async () => {
  const environment = createMachine({ env: { PATH: temporaryDirectory() } });
  const provider = createExternalProvider({
    environment,
    capabilities: capabilities.cloudflared,
    program: new TunnelProgram(environment, 'thing', 'install it'),
    unusable: () => Promise.reject(new Error('must not be asked')),
    start: () => Promise.reject(new Error('must not start')),
  });
  expect(await provider.unusable?.(options.signal)).toBe('thing is not installed');
  const { target } = createWorld(() => Promise.reject(new Error()));
  await expect(provider.open(target, options)).rejects.toMatchObject({ code: 'tunnel_not_installed' });
});
