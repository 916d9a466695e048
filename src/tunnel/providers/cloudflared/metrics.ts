import type { Clock } from '../../../platform/clock.ts';
import { baseUrl, type OutputEvent } from '../external/output-event.ts';
import { getLocalJson, pollLocal } from '../external/local-json.ts';

/**
 * Asks cloudflared's metrics server for the name of a quick tunnel (`/quicktunnel`) and whether it is connected (`/ready`),
 * which is more reliable than the log, whose messages change. Resolves when the watch has ended.
 * @param address `host:port`, as cloudflared has logged it.
 */
export async function watchMetrics(
  address: string,
  clock: Clock,
  signal: AbortSignal,
  onEvent: (event: OutputEvent) => void,
): Promise<void> {
  await pollLocal(address, clock, signal, async () => {
    const [quick, ready] = await Promise.all([
      getLocalJson(`http://${address}/quicktunnel`, signal),
      getLocalJson(`http://${address}/ready`, signal),
    ]);
    if (signal.aborted) return;
    const hostname = quick?.body['hostname'];
    const url = typeof hostname === 'string' && hostname !== '' ? baseUrl(`https://${hostname}`) : undefined;
    if (url !== undefined) onEvent({ kind: 'urls', urls: [url] });
    if (ready?.status === 200 && Number(ready.body['readyConnections']) > 0) onEvent({ kind: 'ready' });
  });
}
