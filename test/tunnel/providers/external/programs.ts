// Tiny programs in the place of a tunnel's: `node -e <script>`, each in a process group of its own, ended with the test.
import { systemClock } from '../../../../src/platform/clock.ts';
import { createWatchdog } from '../../../../src/platform/process/watchdog.ts';
import { HostOverrides } from '../../../../src/platform/net/host-overrides.ts';
import type { HostEnvironment } from '../../../../src/tunnel/host-environment.ts';
import { atEnd } from '../../../harness/lifetime.ts';

export interface TestMachine extends HostEnvironment {
  /** The process groups that are guarded. */
  readonly guarded: ReadonlySet<number>;
}

export function createMachine(more: Partial<HostEnvironment> = {}): TestMachine {
  const watchdog = createWatchdog();
  const guarded = new Set<number>();
  atEnd('test', async () => {
    watchdog.killAll();
    await watchdog.close();
  });
  return {
    env: { PATH: process.env['PATH'] },
    clock: systemClock,
    overrides: new HostOverrides(),
    ...more,
    guarded,
    watchdog: {
      guard(group) {
        guarded.add(group);
        watchdog.guard(group);
      },
      release(group) {
        guarded.delete(group);
        watchdog.release(group);
      },
    },
  };
}

/** What starts a script, which ends by itself at last. */
export function node(script: string): { readonly file: string; readonly args: readonly string[] } {
  return { file: process.execPath, args: ['-e', `setTimeout(() => process.exit(99), 60_000).unref(); ${script}`] };
}

/** Keeps a script running. */
export const stays = 'setInterval(() => {}, 1000);';
