import { fieldsOf, parseFields, type Fields } from '../../../platform/json-fields.ts';
import { outputOf, type LookupEnvironment } from '../external/program-output.ts';

/** What `tailscale status --json` says about this machine (ipn/ipnstate/ipnstate.go). */
export interface TailscaleStatus {
  /** `Running`, `Stopped`, `NeedsLogin`, `NeedsMachineAuth`, …; undefined when the daemon does not answer. */
  readonly state: string | undefined;
  /** Name of this machine in its tailnet, without the final dot. */
  readonly host: string | undefined;
  /** Whether the tailnet's policy lets this machine use Funnel. */
  readonly mayFunnel: boolean;
}

export async function askTailscaleStatus(
  environment: LookupEnvironment,
  signal: AbortSignal,
): Promise<TailscaleStatus> {
  return readTailscaleStatus(await jsonOf(environment, ['status', '--json', '--peers=false'], signal));
}

export function readTailscaleStatus(status: Fields): TailscaleStatus {
  const self = fieldsOf(status['Self']);
  const name = self['DNSName'];
  const list: unknown = self['Capabilities'];
  // Older versions have only the list.
  const capabilities = [...Object.keys(fieldsOf(self['CapMap'])), ...(Array.isArray(list) ? list.map(String) : [])];
  return {
    state: typeof status['BackendState'] === 'string' ? status['BackendState'] : undefined,
    host: typeof name === 'string' && name !== '' ? name.replace(/\.$/, '').toLowerCase() : undefined,
    mayFunnel: capabilities.some((capability) => /^(?:https:\/\/tailscale\.com\/cap\/)?funnel$/.test(capability)),
  };
}

/** Why tailscale cannot be used, in a few words. */
export function whyNotRunning({ state, host }: TailscaleStatus): string | undefined {
  switch (state) {
    case undefined:
      return 'the tailscale daemon is not running';
    case 'NeedsLogin':
    case 'NoState':
      return 'tailscale is logged out';
    case 'NeedsMachineAuth':
      return 'this machine is not yet approved in its tailnet';
    case 'Running':
      return host === undefined ? 'this machine has no name in its tailnet: MagicDNS is off' : undefined;
    default:
      return `tailscale is not running (${state.slice(0, maxStateLength)})`;
  }
}

const maxStateLength = 30;

/** Ports on which tailscale already serves something. */
export async function askPortsInUse(environment: LookupEnvironment, signal: AbortSignal): Promise<ReadonlySet<number>> {
  return readPortsInUse(await jsonOf(environment, ['serve', 'status', '--json'], signal));
}

/**
 * From the configuration that `tailscale serve status --json` and `funnel status --json` print (ipn/serve.go): background
 * services are at the top, foreground services are below `Foreground`, by session.
 */
export function readPortsInUse(configuration: Fields): ReadonlySet<number> {
  const parts = [configuration, ...Object.values(fieldsOf(configuration['Foreground'])).map(fieldsOf)];
  const keys = parts.flatMap((part) => [...Object.keys(fieldsOf(part['TCP'])), ...Object.keys(fieldsOf(part['Web']))]);
  // `443`, and `host:443`.
  return new Set(keys.map((key) => Number(key.slice(key.lastIndexOf(':') + 1))));
}

async function jsonOf(environment: LookupEnvironment, args: readonly string[], signal: AbortSignal): Promise<Fields> {
  const output = await outputOf(environment, 'tailscale', args, { signal });
  return parseFields(output?.stdout ?? '');
}
