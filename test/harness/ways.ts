// The two ways to reach a server. A story that holds for one has to hold for the other.
import { type Exposed, type ExposeOptions, startBehindRelay, startExpose, startRelay } from './expose.ts';

export const ways = ['locally', 'through the relay'] as const;
export type Way = (typeof ways)[number];

/** Starts mcp-expose, with a relay of its own where one is needed; `url` of the result is the way in. */
export async function exposeBy(way: Way, options: ExposeOptions): Promise<Exposed> {
  if (way === 'locally') {
    return startExpose({ ...options, args: ['--tunnel', 'none', ...(options.args ?? [])] });
  }
  const relay = await startRelay({ lifetime: options.lifetime ?? 'test' });
  return startBehindRelay(relay, options);
}
