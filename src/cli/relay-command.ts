import { limitEvents, type RelayEvent } from '../tunnel/relay/server/relay-events.ts';
import { createRelay } from '../tunnel/relay/server/relay.ts';
import type { CommandContext } from './context.ts';
import type { Output } from './output.ts';
import type { RelayFlags } from './program.ts';

/** How long open requests may continue after a signal, in milliseconds. */
const drainMs = 10_000;

/** Runs a relay until a signal ends the process. */
export async function runRelay(flags: RelayFlags, context: CommandContext): Promise<void> {
  const { output, untilEnding } = context;
  const { host, port, publicUrl, domain, state } = flags;
  const log = limitEvents(
    (event) => showEvent(output, event),
    (count) => output.warning(`${count} more events of agents were not shown`),
  );
  const relay = await createRelay({
    host,
    port,
    state: { path: state },
    replacesOther: true,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(domain === undefined ? {} : { domain }),
    onEvent: log.onEvent,
  });
  output.event({ event: 'ready', url: relay.url });
  if (!output.json) output.result(`mcp-expose: relay ready at ${relay.url}`);
  context.onHurry = () => void relay.close({ drainMs: 0 });
  await untilEnding();
  if (output.interactive) output.note('stopping: open requests get up to 10 s; press Ctrl+C again to stop at once');
  await relay.close({ drainMs });
  log.close();
}

function showEvent(output: Output, event: RelayEvent): void {
  switch (event.type) {
    case 'agent_connected': {
      const { name, urls, agent, address, online } = event;
      const replica = online > 1 ? `, one of ${online} replicas` : '';
      output.event({ event: 'agent', state: 'connected', name, urls, agent, address, online });
      output.note(`${name} is online at ${urls[0] ?? '(no url)'}, from ${address}${replica}`);
      return;
    }
    case 'agent_disconnected': {
      const { name, reason, online } = event;
      const state = online === 0 ? 'is offline' : `has lost an agent, ${online} left`;
      output.event({ event: 'agent', state: 'disconnected', name, reason, online });
      output.note(`${name} ${state}: ${reason}`);
      return;
    }
    case 'agent_rejected': {
      const { code, message, address } = event;
      output.event({ event: 'agent', state: 'rejected', code, message, address });
      output.note(`refused an agent from ${address}: ${message}`);
      return;
    }
    case 'warning':
      output.warning(event.message);
  }
}
