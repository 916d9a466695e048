// The calls that clients make in a storm, of the tools in fixtures/chaos-tools.js.
import type { Random } from './random.ts';

export interface PlannedCall {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Whether this is what the tool says to this call. */
  readonly accepts: (text: string) => boolean;
}

const kinds = ['echo', 'echo', 'echo', 'count', 'count', 'ask', 'ask', 'big', 'slow', 'log', 'touch'] as const;

/** What a client answers when it is asked on behalf of a call. */
export const answerTo = (prompt: string): string => `the answer to ${prompt}`;

export function planCall(random: Random, marker: string, n: number): PlannedCall {
  const tool = random.pick(kinds);
  const said = `${marker} ${tool} ${n}`;
  const plan = (more: Record<string, unknown> = {}, accepts = (text: string) => text === said): PlannedCall => ({
    tool,
    args: { marker, n, ...more },
    accepts,
  });
  switch (tool) {
    case 'count':
      return plan({ steps: 1 + random.below(12), pauseMs: random.below(20) });
    case 'slow':
      return plan({ ms: 20 + random.below(400) });
    case 'big': {
      const lines = 100 + random.below(8000);
      const text = `${said}\n`.repeat(lines);
      return plan({ lines }, (other) => other === text);
    }
    case 'ask': {
      const outcomes = new Set([`: ${answerTo(said)}`, ' unanswered']);
      return plan({}, (text) => outcomes.has(text.slice(said.length)) || text.startsWith(`${said} refused: `));
    }
    default:
      return plan();
  }
}
