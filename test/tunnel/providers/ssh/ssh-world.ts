// The machine of a user who has ssh, with nothing of the real one but PATH, and a record of the processes that were started.
import path from 'node:path';

import { HostOverrides } from '../../../../src/platform/net/host-overrides.ts';
import type { HostEnvironment } from '../../../../src/tunnel/host-environment.ts';
import { eventually } from '../../../harness/eventually.ts';
import { processInfo } from '../../../harness/processes.ts';
import { createBinaryWorld, requestTo, type BinaryWorld, type Reply } from '../binary-world.ts';
import { makeKey } from './sshd.ts';

export interface SshWorld extends BinaryWorld {
  /** A private key of the user's, for `--ssh-key`: servers of one's own see no other one here. */
  readonly keyFile: string;
  /** Leaders of the process groups of tunnels that were started so far: of calls with `-R`. */
  readonly pids: readonly number[];
  /** A request to a port of this machine, for the host of this URL. */
  through(port: number, publicUrl: string): Promise<Reply>;
  /** Fails unless every process that was started has ended. */
  expectNothingLeft(): Promise<void>;
}

export interface SshWorldOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** As `--resolve` has it. */
  readonly resolve?: readonly string[];
  readonly programs?: Readonly<Record<string, string>>;
}

export async function createSshWorld({
  env = {},
  resolve = [],
  programs = {},
}: SshWorldOptions = {}): Promise<SshWorld> {
  const world = await createBinaryWorld({ programs, env });
  const all: number[] = [];
  const pids: number[] = [];
  const keyFile = path.join(world.home, 'key of mine');
  makeKey(keyFile);
  const environment: HostEnvironment = {
    ...world.environment,
    overrides: new HostOverrides(resolve),
    watchdog: {
      guard(pid) {
        all.push(pid);
        if (processInfo(pid)?.command.includes('-R') === true) pids.push(pid);
        world.environment.watchdog.guard(pid);
      },
      release: (pid) => world.environment.watchdog.release(pid),
    },
  };
  return {
    ...world,
    environment,
    keyFile,
    pids,
    through: (port, publicUrl) => requestTo(port, '/mcp', { host: new URL(publicUrl).host }),
    expectNothingLeft: () =>
      eventually(() => {
        const left = all.flatMap((pid) => processInfo(pid) ?? []).filter(({ state }) => state !== 'Z');
        if (all.length === 0 || left.length > 0) throw new Error(`still there: ${JSON.stringify(left)}`);
      }),
  };
}
