export interface SshCall {
  readonly host: string;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** The part of `-R` before the local address. */
  readonly remote: string;
  /** Port on 127.0.0.1 that it leads to. */
  readonly localPort: number;
  /** Command to run there; undefined for no session. */
  readonly command: readonly string[] | undefined;
  /** New host keys are added to the first. */
  readonly knownHostsFiles: readonly string[];
  /** The only key to offer, instead of all keys of the user. */
  readonly keyFile?: string | undefined;
  /** Replaces the user's configuration; `none` for an empty one. */
  readonly configFile?: string | undefined;
  /** The address to connect to, instead of asking a resolver. */
  readonly address?: string | undefined;
  readonly withAgent: boolean;
  readonly withKeys: boolean;
  readonly isBatch: boolean;
  readonly logLevel: 'INFO' | 'DEBUG1';
}

/** The arguments for a run; options as in ssh(1) and ssh_config(5) of OpenSSH 7.6 and newer. */
export function sshArguments(call: SshCall): string[] {
  const { host, port, user, command, configFile, address } = call;
  return [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    // No terminal, no agent and no X11 forwarding.
    '-T',
    '-a',
    '-x',
    ...(command === undefined ? ['-N'] : []),
    ...optionsFor({
      ExitOnForwardFailure: 'yes',
      ServerAliveInterval: '15',
      ServerAliveCountMax: '3',
      ConnectTimeout: '15',
      StrictHostKeyChecking: 'accept-new',
      UserKnownHostsFile: call.knownHostsFiles.map(pathValue).join(' '),
      LogLevel: call.logLevel,
      BatchMode: call.isBatch ? 'yes' : 'no',
      NumberOfPasswordPrompts: '1',
      // A shared connection of the user would keep the forwarding when this process has ended.
      ControlMaster: 'no',
      ControlPath: 'none',
      PermitLocalCommand: 'no',
      RemoteCommand: 'none',
      ...keyOptions(call),
      ...(call.withAgent ? {} : { IdentityAgent: 'none' }),
      ...(address === undefined ? {} : { HostName: address, HostKeyAlias: aliasFor(host, port) }),
    }),
    '-R',
    // Not `localhost`, which may resolve to ::1.
    `${call.remote}:127.0.0.1:${call.localPort}`,
    ...destinationArguments({ host, port, user }),
    ...(command === undefined || command.length === 0 ? [] : ['--', ...command]),
  ];
}

export function destinationArguments({ host, port, user }: Pick<SshCall, 'host' | 'port' | 'user'>): string[] {
  return [...(port === undefined ? [] : ['-p', String(port)]), ...(user === undefined ? [] : ['-l', user]), host];
}

function keyOptions({ keyFile, withKeys }: SshCall): Readonly<Record<string, string>> {
  if (!withKeys) return { PubkeyAuthentication: 'no' };
  if (keyFile === undefined) return {};
  return { IdentityFile: pathValue(keyFile), IdentitiesOnly: 'yes' };
}

function optionsFor(options: Readonly<Record<string, string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Quoted as one word; a percent sign would start a token of ssh_config. */
function pathValue(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

/** The name under which ssh stores a host's key. */
function aliasFor(host: string, port = 22): string {
  return port === 22 ? host : `[${host}]:${port}`;
}
