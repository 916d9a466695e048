// A spare is replaced a moment after it was taken: until then, a count of processes depends on the moment.
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import type { Exposed } from './expose.ts';
import { childrenWithMark } from './processes.ts';
import { send } from './raw-http.ts';
import { clientHeaders } from './raw-mcp.ts';

interface Counts {
  readonly sessions: number;
  readonly children: number;
}

/**
 * The ids of the children, and of theirs, once there is one for each session and one that is kept for the next.
 * @param exposed with `--warm 1`. By default the next one starts when that has ended which said what the server is, and which
 * would be taken for it.
 */
export function settledChildren(exposed: Exposed): Promise<number[]> {
  return eventually(async () => {
    const reply = await send<Counts>(new URL('/readyz', exposed.localUrl).href, {
      headers: clientHeaders(exposed.token),
    });
    const { sessions, children } = reply.json();
    expect(children).toBe(sessions + 1);
    return childrenWithMark(exposed.mark).map(({ pid }) => pid);
  }, 15_000);
}
