/** One call of ssh. */
export interface SshCall {
  readonly host: string;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** What of `-R` stands in front of where it leads to. */
  readonly remote: string;
  /** Port on 127.0.0.1 that it leads to. */
  readonly localPort: number;
  /** TunnelSession there; undefined for no session at all. */
  readonly command: readonly string[] | undefined;
  /** The first takes what is new. */
  readonly knownHostsFiles: readonly string[];
  /** The one key to show, in the place of all that the user has. */
  readonly keyFile?: string | undefined;
  /** In the place of the user's configuration; `none` for nothing. */
  readonly configFile?: string | undefined;
  /** The address to use, whatever a resolver says. */
  readonly address?: string | undefined;
  readonly withAgent: boolean;
  /** Whether any key is shown at all. */
  readonly withKeys: boolean;
  readonly isBatch: boolean;
  readonly logLevel: 'INFO' | 'DEBUG1';
}

/** The arguments for a call; options as in ssh(1) and ssh_config(5) of OpenSSH 7.6 and newer. */
export function sshArguments(call: SshCall): string[] {
  const { host, port, user, command, configFile, address } = call;
  return [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    // No terminal, no agent and no X11 for the server.
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
      // A connection that the user has open would keep the forwarding when this process has ended.
      ControlMaster: 'no',
      ControlPath: 'none',
      PermitLocalCommand: 'no',
      RemoteCommand: 'none',
      ...keyOptions(call),
      ...(call.withAgent ? {} : { IdentityAgent: 'none' }),
      ...(address === undefined ? {} : { HostName: address, HostKeyAlias: aliasFor(host, port) }),
    }),
    '-R',
    // Not `localhost`, which may be ::1 to it.
    `${call.remote}:127.0.0.1:${call.localPort}`,
    ...destinationArguments({ host, port, user }),
    ...(command === undefined || command.length === 0 ? [] : ['--', ...command]),
  ];
}

/** Those that say where. */
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

/** Quoted as a word; a percent sign would begin one of its tokens. */
function pathValue(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

/** The name under which a host's key is kept, as ssh itself forms it. */
function aliasFor(host: string, port = 22): string {
  return port === 22 ? host : `[${host}]:${port}`;
}
