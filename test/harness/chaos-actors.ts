// Those who do the harm in a storm, beside the clients themselves.
import type { CuttingProxy } from './chaos-proxy.ts';
import type { Storm } from './chaos-storm.ts';
import { childrenWithMark, killIfAlive } from './processes.ts';
import type { Random } from './random.ts';

export interface Actor {
  readonly storm: Storm;
  readonly random: Random;
  /** Longest wait between two deeds, in milliseconds. */
  readonly pauseMs: number;
}

/** Kills server processes, and stops others for a moment. */
export async function harmProcesses(mark: string, { storm, random, pauseMs }: Actor): Promise<void> {
  while (!storm.signal.aborted) {
    await storm.pause(random.below(pauseMs)); // oxlint-disable-line no-await-in-loop -- one deed after the other
    const children = childrenWithMark(mark);
    if (children.length === 0) continue;
    const { pid } = random.pick(children);
    if (random.below(3) > 0) {
      killIfAlive(pid, 'SIGKILL');
      storm.count('server killed');
      continue;
    }
    killIfAlive(pid, 'SIGSTOP');
    await storm.pause(50 + random.below(700)); // oxlint-disable-line no-await-in-loop
    killIfAlive(pid, 'SIGCONT');
    storm.count('server stopped for a moment');
  }
}

/** Cuts connections to a server, refuses new ones for a moment, and holds up what they carry. */
export async function harmConnections(proxy: CuttingProxy, { storm, random, pauseMs }: Actor): Promise<void> {
  while (!storm.signal.aborted) {
    await storm.pause(random.below(pauseMs)); // oxlint-disable-line no-await-in-loop -- one deed after the other
    const deed = random.below(12);
    if (deed === 0) {
      proxy.cutAll();
      storm.count('all connections cut');
    } else if (deed === 1) {
      const accept = proxy.refuse();
      proxy.cutAll();
      await storm.pause(100 + random.below(900)); // oxlint-disable-line no-await-in-loop
      accept();
      storm.count('server unreachable for a moment');
    } else if (deed === 2) {
      const goOn = proxy.stall();
      await storm.pause(50 + random.below(700)); // oxlint-disable-line no-await-in-loop
      goOn();
      storm.count('connections stalled for a moment');
    } else {
      proxy.cutOne(random);
      storm.count('connection cut');
    }
  }
}
