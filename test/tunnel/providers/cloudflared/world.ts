// A machine with the stand-in of cloudflared on it, and what its tests look at.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, vi } from 'vitest';
import { systemClock, type Clock } from '../../../../src/platform/clock.ts';
import {
  createCloudflaredProvider,
  type CloudflaredOptions,
} from '../../../../src/tunnel/providers/cloudflared/cloudflared.ts';
import type { TunnelProvider } from '../../../../src/tunnel/provider.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { isAlive, type ProcessInfo } from '../../../harness/processes.ts';
import { createBinaryWorld, type BinaryWorld, type BinaryWorldOptions, type Call } from '../binary-world.ts';

export interface CloudflaredWorld extends BinaryWorld {
  readonly provider: TunnelProvider;
  /** The folders for its configuration that are there. */
  folders(): string[];
  /** The one program that runs. */
  running(): ProcessInfo;
}

export async function createCloudflaredWorld(
  options: Omit<BinaryWorldOptions, 'programs'> & Omit<CloudflaredOptions, 'environment'> = {},
): Promise<CloudflaredWorld> {
  const { publicUrl, ...rest } = options;
  const temporary = mkdtempSync(path.join(tmpdir(), 'mcp-expose-test-'));
  vi.stubEnv('TMPDIR', temporary);
  atEnd('test', () => rmSync(temporary, { recursive: true, force: true }));
  const world = await createBinaryWorld({ programs: { cloudflared: 'cloudflared' }, ...rest });
  return {
    ...world,
    provider: createCloudflaredProvider({ environment: world.environment, publicUrl }),
    folders: () => readdirSync(temporary).filter((name) => name.startsWith('mcp-expose-cloudflared-')),
    running() {
      const [found, ...others] = world.alive();
      if (found === undefined || others.length > 0) throw new Error(`${others.length + 1} or no cloudflared runs`);
      return found;
    },
  };
}

/** The value behind a flag. */
export function flag({ args }: Call, name: string): string | undefined {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
}

/** Nothing of it is left. */
export function expectNothingLeft(world: CloudflaredWorld, processes: readonly ProcessInfo[] = []): void {
  expect(world.alive()).toEqual([]);
  expect(processes.filter(isAlive)).toEqual([]);
  expect(world.folders()).toEqual([]);
}

/** The system's clock, except that waits of these lengths are over when the test says so. */
export function createHeldClock(heldMs: readonly number[]): {
  readonly clock: Clock;
  /** How many waits of this length have begun. */
  count(ms: number): number;
  fire(ms: number): void;
} {
  const waits: { readonly ms: number; readonly callback: () => void; isOff: boolean }[] = [];
  return {
    clock: {
      now: systemClock.now,
      after(ms, callback) {
        const wait = { ms, callback, isOff: false };
        waits.push(wait);
        if (!heldMs.includes(ms)) return systemClock.after(ms, callback);
        return () => void (wait.isOff = true);
      },
    },
    count: (ms) => waits.filter((wait) => wait.ms === ms).length,
    fire(ms) {
      const due = waits.filter((wait) => wait.ms === ms && !wait.isOff);
      expect(due).toHaveLength(1);
      for (const { callback } of due) callback();
    },
  };
}
