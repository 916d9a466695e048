import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { fieldsOf, type Fields } from '../../../platform/json-fields.ts';
import { outputOf, type LookupEnvironment, type ProgramOutput } from '../external/program-output.ts';
import { createHint, devtunnelErrorIn, saysNoSuchTunnel } from './output.ts';

/** An existing tunnel of the user, as its service describes it. */
export interface NamedTunnel {
  /** The first port that it leads to, which is part of its URL; undefined when it has none. */
  readonly port: number | undefined;
  /** Whether it accepts everybody; undefined when that is not known. */
  readonly isOpen: boolean | undefined;
}

/** The program asks its service, which can take seconds; in milliseconds. */
const timeoutMs = 20_000;

/**
 * Looks up an existing tunnel. It can only be hosted with the ports that it has: the service refuses `devtunnel host <id> -p
 * <port>` (microsoft/dev-tunnels#512). Output with `--json`: `{tunnel: {ports: [{portNumber}]}}` and `{accessControlEntries:
 * [{type, isDeny, scopes}]}`.
 * @throws ExposeError `tunnel_rejected` when the service does not know the tunnel or nobody is logged in; another `tunnel_*`
 * code when the service could not be asked, which may work the next time.
 */
export async function findNamedTunnel(
  environment: LookupEnvironment,
  name: string,
  signal: AbortSignal,
): Promise<NamedTunnel> {
  const [shown, access] = await Promise.all([
    outputOf(environment, 'devtunnel', ['show', name, '--json'], { timeoutMs, signal }),
    outputOf(environment, 'devtunnel', ['access', 'list', name, '--json'], { timeoutMs, signal }),
  ]);
  signal.throwIfAborted();
  const tunnel = jsonIn(shown);
  if (tunnel === undefined) throw notShown(name, shown);
  const entries = jsonIn(access);
  return { port: readPort(tunnel), isOpen: entries === undefined ? undefined : readIsOpen(entries) };
}

function notShown(name: string, shown: ProgramOutput | undefined): ExposeError {
  if (shown === undefined) {
    return new ExposeError('tunnel_unreachable', `devtunnel did not say within ${timeoutMs / 1000} s what ${name} is`, {
      hints: [`see what devtunnel show ${name} says`],
    });
  }
  const lines = `${shown.stderr}${shown.stdout}`.split('\n').filter((line) => line !== '');
  if (lines.some(saysNoSuchTunnel)) {
    return new ExposeError('tunnel_rejected', `devtunnel knows no tunnel ${name}`, {
      hints: [createHint.replace('<name>', name), 'devtunnel list shows those that you have'],
    });
  }
  const [found] = lines.flatMap((line) => devtunnelErrorIn(line) ?? []);
  if (found !== undefined) return found;
  const said = excerpt(lines[0] ?? 'nothing');
  return new ExposeError('tunnel_unreachable', `devtunnel could not look up the tunnel ${name}: it said ${said}`, {
    hints: ['check that this machine is online'],
  });
}

/**
 * Adds a port to a tunnel that has none.
 * @throws ExposeError `tunnel_unavailable` when that fails.
 */
export async function addPort(
  environment: LookupEnvironment,
  name: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const args = ['port', 'create', name, '-p', String(port), '--protocol', 'http'];
  const output = await outputOf(environment, 'devtunnel', args, { timeoutMs, signal });
  signal.throwIfAborted();
  if (output?.code !== 0) {
    throw new ExposeError('tunnel_unavailable', `devtunnel could not give the tunnel ${name} a port`, {
      hints: [`see what devtunnel ${args.join(' ')} says`],
    });
  }
}

export function readPort(shown: Fields): number | undefined {
  const ports: unknown = fieldsOf(shown['tunnel'] ?? shown)['ports'];
  const numbers = (Array.isArray(ports) ? ports : []).map((port) => Number(fieldsOf(port)['portNumber']));
  return numbers.find((number) => Number.isInteger(number) && number > 0 && number < 65_536);
}

export function readIsOpen(access: Fields): boolean {
  const entries: unknown = access['accessControlEntries'];
  return (Array.isArray(entries) ? entries.map(fieldsOf) : []).some(
    ({ type, isDeny, scopes }) =>
      type === 'Anonymous' && isDeny !== true && Array.isArray(scopes) && scopes.includes('connect'),
  );
}

/** Undefined when it failed. On the first use there is a greeting before the JSON. */
function jsonIn(output: ProgramOutput | undefined): Fields | undefined {
  if (output?.code !== 0) return undefined;
  try {
    return fieldsOf(JSON.parse(output.stdout.slice(output.stdout.indexOf('{'))));
  } catch {
    return undefined;
  }
}
