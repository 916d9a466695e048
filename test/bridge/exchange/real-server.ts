// Exchanges in front of an official server, over a real pipe.
import { execa } from 'execa';
import { createLegacyExchanges, type LegacyExchanges } from '../../../src/bridge/exchange/legacy-exchanges.ts';
import { ManagedServer } from '../../../src/bridge/restart/managed-server.ts';
import { RestartingUpstream } from '../../../src/bridge/restart/restarting-upstream.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { cleanEnvironment, installedServer } from '../../harness/program.ts';
import { killGroup } from '../../platform/process/node-process.ts';

const onWarning = (): void => {};

/** @returns also the processes of the server so far. */
export function exchangesOf(name: string, ...args: string[]): { exchanges: LegacyExchanges; pids: number[] } {
  const [file = '', ...rest] = installedServer(name, ...args);
  const pids: number[] = [];
  const server = new ManagedServer({
    connect: () =>
      new StdioUpstream({
        command: { kind: 'argv', file, args: rest },
        env: cleanEnvironment('/nonexistent'),
        execa,
        watchdog: {
          guard: (pid) => void pids.push(pid),
          release() {},
          killAll() {},
          close: () => Promise.resolve(),
        },
        onStderr() {},
        onWarning,
      }),
    isProcess: true,
    isShared: false,
    warm: 0,
    onWarning,
  });
  const exchanges = createLegacyExchanges({
    nextUpstream: () => new RestartingUpstream({ server, restart: 'on-exit', startTimeoutMs: 30_000, onWarning }),
    startTimeoutMs: 30_000,
    clientVersion: '0',
    onWarning,
  });
  atEnd('test', async () => {
    for (const pid of pids) killGroup(pid);
    await Promise.all([exchanges.close(), server.close()]);
  });
  return { exchanges, pids };
}
