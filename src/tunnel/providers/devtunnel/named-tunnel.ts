import { ExposeError } from '../../../errors.ts';
import { outputOf } from '../../external/tunnel-process.ts';
import type { Machine } from '../../machine.ts';
import { createHint } from './output.ts';

/** A tunnel that the user has made, as its service knows it. */
export interface NamedTunnel {
  /** The first port that it leads to. The URL has this number in it. */
  readonly port: number;
  /** Whether everybody may come through. */
  readonly isOpen: boolean;
}

/** It asks its service, which takes seconds now and then; milliseconds. */
const timeoutMs = 20_000;

/**
 * Looks up a tunnel of the user's, and gives it a port where it has none. An existing tunnel can only be hosted with what it
 * has: `devtunnel host <id> -p <port>` is refused by the service (microsoft/dev-tunnels#512). Output with `--json`:
 * `{tunnel: {ports: [{portNumber}]}}` and `{accessControlEntries: [{type, isDeny, scopes}]}`.
 * @throws ExposeError `tunnel_rejected` when there is no such tunnel.
 */
export async function prepareNamedTunnel(
  machine: Pick<Machine, 'env'>,
  name: string,
  signal: AbortSignal,
): Promise<Pick<NamedTunnel, 'isOpen'> & { readonly port: number | undefined }> {
  const [shown, access] = await Promise.all([
    jsonOf(machine, ['show', name, '--json'], signal),
    jsonOf(machine, ['access', 'list', name, '--json'], signal),
  ]);
  signal.throwIfAborted();
  if (shown === undefined) {
    throw new ExposeError('tunnel_rejected', `devtunnel knows no tunnel ${name}`, {
      hints: [createHint.replace('<name>', name), 'devtunnel list shows those that you have'],
    });
  }
  return { port: readPort(shown), isOpen: readIsOpen(access ?? {}) };
}

/** @throws ExposeError `tunnel_unavailable` when the service does not want it. */
export async function addPort(
  machine: Pick<Machine, 'env'>,
  name: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const args = ['port', 'create', name, '-p', String(port), '--protocol', 'http'];
  const output = await outputOf(machine, 'devtunnel', args, { timeoutMs, signal });
  signal.throwIfAborted();
  if (output?.code !== 0) {
    throw new ExposeError('tunnel_unavailable', `devtunnel could not give the tunnel ${name} a port`, {
      hints: [`see what devtunnel ${args.join(' ')} says`],
    });
  }
}

export function readPort(shown: Readonly<Record<string, unknown>>): number | undefined {
  const ports: unknown = recordOf(shown['tunnel'] ?? shown)['ports'];
  const numbers = (Array.isArray(ports) ? ports : []).map((port) => Number(recordOf(port)['portNumber']));
  return numbers.find((number) => Number.isInteger(number) && number > 0 && number < 65_536);
}

export function readIsOpen(access: Readonly<Record<string, unknown>>): boolean {
  const entries: unknown = access['accessControlEntries'];
  return (Array.isArray(entries) ? entries.map(recordOf) : []).some(
    ({ type, isDeny, scopes }) =>
      type === 'Anonymous' && isDeny !== true && Array.isArray(scopes) && scopes.includes('connect'),
  );
}

/** Undefined when it fails. First-time users are greeted in front of the JSON. */
async function jsonOf(
  machine: Pick<Machine, 'env'>,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const output = await outputOf(machine, 'devtunnel', args, { timeoutMs, signal });
  if (output?.code !== 0) return undefined;
  try {
    return recordOf(JSON.parse(output.stdout.slice(output.stdout.indexOf('{'))));
  } catch {
    return undefined;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
