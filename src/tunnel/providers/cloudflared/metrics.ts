import { sleep, type Clock } from '../../../platform/clock.ts';
import { baseUrl, type OutputEvent } from '../external/output-event.ts';
import { getLocalJson } from '../external/local-json.ts';

/** Between two looks, in milliseconds. */
const pollMs = 250;

export interface MetricsOptions {
  /** `host:port`, as cloudflared has written it. */
  readonly address: string;
  readonly clock: Clock;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: OutputEvent) => void;
}

/**
 * Asks cloudflared's metrics server for the name of a quick tunnel (`/quicktunnel`) and whether it is connected (`/ready`),
 * which is told there more plainly than in the log, whose words change. Resolves when the watch has ended.
 */
export async function watchMetrics({ address, clock, signal, onEvent }: MetricsOptions): Promise<void> {
  // Whatever stands in the log, only this machine is asked.
  if (!/^(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}$/.test(address)) return;

  async function look(): Promise<void> {
    const [quick, ready] = await Promise.all([
      getLocalJson(`http://${address}/quicktunnel`, signal),
      getLocalJson(`http://${address}/ready`, signal),
    ]);
    if (signal.aborted) return;
    const hostname = quick?.body['hostname'];
    const url = typeof hostname === 'string' && hostname !== '' ? baseUrl(`https://${hostname}`) : undefined;
    if (url !== undefined) onEvent({ kind: 'urls', urls: [url] });
    if (ready?.status === 200 && Number(ready.body['readyConnections']) > 0) onEvent({ kind: 'ready' });
  }

  while (!signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- a look, then a pause
    await look();
    // oxlint-disable-next-line no-await-in-loop
    await sleep(clock, pollMs, signal);
  }
}
