import type { Readiness, ServedServer } from './directory.ts';
import { answerJson } from './responses/json-response.ts';
import type { HttpResponse } from './message.ts';

/**
 * Responds with 200 if all servers are ready, 503 otherwise.
 * @param withDetails whether to tell more than `up` or `down`: the state of each server, with reason and counts.
 */
export async function answerReadiness(
  response: HttpResponse,
  servers: readonly ServedServer[],
  withDetails: boolean,
): Promise<void> {
  const looked = await Promise.all(
    servers.map(async (server) => ({ name: server.name, readiness: await server.readiness() })),
  );
  const statuses = looked.map(({ readiness }) => readiness.status);
  // Also `starting` while there are no servers yet.
  const status =
    statuses.length === 0 ? 'starting' : (worst.find((candidate) => statuses.includes(candidate)) ?? 'ready');
  const all = looked.map(({ readiness }) => readiness);
  const body = withDetails
    ? {
        status,
        ...countsOf(all),
        servers: looked.map(({ name, readiness }) => (name === undefined ? readiness : { name, ...readiness })),
      }
    : { status: status === 'ready' ? 'up' : 'down' };
  answerJson(response, status === 'ready' ? 200 : 503, Buffer.from(JSON.stringify(body)), {
    'cache-control': 'no-store',
  });
}

const worst = ['down', 'starting'] as const;

function countsOf(all: readonly Readiness[]): Pick<Readiness, 'sessions' | 'children' | 'restarts'> {
  const sum = (count: 'sessions' | 'children' | 'restarts'): number =>
    all.reduce((total, readiness) => total + readiness[count], 0);
  return { sessions: sum('sessions'), children: sum('children'), restarts: sum('restarts') };
}
