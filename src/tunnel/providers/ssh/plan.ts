import { statSync } from 'node:fs';

import { ExposeError } from '../../../errors.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { parseDestination, type Destination } from './destination.ts';
import { refuseReadable } from './ssh-files.ts';
import { serviceAt, serviceNamed, type SshService, type SshServiceName } from './services.ts';

const installHint = 'install OpenSSH’s client, for example the package openssh-client';

export interface SshProviderOptions {
  readonly environment: HostEnvironment;
  readonly service: SshServiceName;
  /** `[user@]host[:port]`, instead of the service's own. */
  readonly destination?: string | undefined;
  /** The only private key to offer. */
  readonly keyFile?: string | undefined;
  /** `[bind:]port` to listen on at the server, instead of the service's default. */
  readonly remote?: string | undefined;
  readonly name?: string | undefined;
  /** The public URL of the tunnel; URLs in the server's output are then ignored. */
  readonly publicUrl?: string | undefined;
}

/** Which server to connect to, and what to ask for. */
export interface SshPlan
  extends Destination, Pick<SshProviderOptions, 'environment' | 'keyFile' | 'name' | 'publicUrl'> {
  readonly program: TunnelProgram;
  readonly service: SshService;
  readonly remote: string;
  /** Used as the user name. */
  readonly pinggyToken: string | undefined;
}

/** @throws ExposeError `usage` for contradictory or invalid settings; `tunnel_unavailable` for a key that others can read. */
export function planSsh(options: SshProviderOptions): SshPlan {
  const { environment, destination, keyFile, name, publicUrl } = options;
  const wanted = destination === undefined ? undefined : parseDestination(destination);
  const serviceName = options.service === 'ssh' ? (serviceAt(wanted?.host ?? '') ?? 'ssh') : options.service;
  const token = serviceName === 'pinggy' ? pinggyToken(environment) : undefined;
  const service = serviceNamed(serviceName, token !== undefined);
  const host = wanted?.host ?? service.host;
  if (host === undefined) {
    throw new ExposeError('usage', `--tunnel ${service.name} does not say which server to use`, {
      hints: ['name it with --ssh [user@]host[:port]'],
    });
  }
  if (name !== undefined) refuseName(service, name);
  if (keyFile !== undefined) refuseKey(keyFile);
  const port = wanted?.port ?? service.port;
  const user = wanted?.user ?? service.user;
  return {
    environment,
    program: new TunnelProgram(environment, 'ssh', installHint),
    service,
    host,
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    remote: remoteFor(service, options),
    keyFile,
    name,
    publicUrl,
    pinggyToken: wanted?.user === undefined ? token : undefined,
  };
}

function remoteFor(service: SshService, { remote, name, publicUrl }: SshProviderOptions): string {
  // The proxy behind a public URL runs on the server itself, so the port need not be open to others.
  const port = remote ?? (service.name === 'ssh' && publicUrl !== undefined ? '0' : service.remote);
  // A name takes the place of a bind address.
  return name === undefined || port.includes(':') ? port : `${name}:${port}`;
}

function refuseName({ name: service, takesName }: SshService, name: string): void {
  if (!takesName) {
    throw new ExposeError('usage', `${service} cannot be asked for a name`, {
      hints: ['omit --name, or use --tunnel serveo, sish or localtunnel'],
    });
  }
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)) {
    throw new ExposeError('usage', `${JSON.stringify(name)} cannot be the name of a host`, {
      hints: ['use letters, digits and hyphens'],
    });
  }
}

function refuseKey(keyFile: string): void {
  if (statSync(keyFile, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new ExposeError('usage', `there is no SSH key ${keyFile}`, {
      hints: ['--ssh-key names the file of a private key, such as ~/.ssh/id_ed25519'],
    });
  }
  refuseReadable(keyFile);
}

function pinggyToken({ env }: HostEnvironment): string | undefined {
  const token = env['PINGGY_TOKEN'] ?? '';
  if (token === '') return undefined;
  // In a configuration file, a line break would begin another option.
  if (/^[\w.~-]+$/.test(token)) return token;
  throw new ExposeError('usage', 'PINGGY_TOKEN is not a token of Pinggy', {
    hints: ['copy it from https://dashboard.pinggy.io, without the + and what follows it'],
  });
}
