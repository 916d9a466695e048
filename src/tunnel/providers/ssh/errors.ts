import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';

export interface SshErrorContext {
  /** `host` or `host:port`. */
  readonly server: string;
  /** `[bind:]port` or `name:port`, as requested. */
  readonly remote: string;
  readonly knownHostsFiles: readonly string[];
  readonly isAnonymous: boolean;
  /** Whether there was a tunnel before: our own dead connection may then still hold the port or name. */
  readonly isRestart: boolean;
}

/** Why there is no tunnel, if this line of ssh's standard error says so: the messages of OpenSSH 7 to 10. */
export function sshErrorIn(line: string, context: SshErrorContext): ExposeError | undefined {
  const { server } = context;
  const unresolved = /^ssh: Could not resolve hostname (\S+?):? /.exec(line);
  if (unresolved !== null) {
    return new ExposeError('tunnel_unreachable', `there is no SSH server ${server}: its name cannot be resolved`, {
      hints: ['check its name, and that this machine is online'],
    });
  }
  const unreachable =
    /^ssh: connect to (?:host|address) \S+ port \d+: (.+)$/.exec(line)?.[1] ??
    /^(?:kex|ssh)_exchange_identification: (.+)$/.exec(line)?.[1] ??
    /^banner exchange: Connection (?:to|from) \S+ port \d+: (.+)$/.exec(line)?.[1] ??
    /^Connection (timed out during banner exchange)$/.exec(line)?.[1];
  if (unreachable !== undefined) {
    const said = excerpt(unreachable.toLowerCase());
    return new ExposeError('tunnel_unreachable', `could not connect to the SSH server ${server}: ${said}`, {
      hints: ['check its address, and that this network lets SSH out to that port'],
    });
  }
  // It is preceded by the user name, which may be a token.
  const denied = /(?:^|\s|@)\S+: Permission denied \(([a-z0-9,-]*)\)\.?$/.exec(line)?.[1];
  if (denied !== undefined) return loginRefused(`permission denied (${denied})`, context);
  if (line.endsWith(': Too many authentication failures')) return loginRefused('too many keys were tried', context);
  if (line.startsWith('Error: remote port forwarding failed for listen p')) return forwardingRefused(context);
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|^Host key verification failed\.?$/.test(line)) {
    return new ExposeError('tunnel_rejected', `the SSH server ${server} has another host key than before`, {
      hints: [
        `somebody may be in between; if you know that the key has changed, delete its line from ${context.knownHostsFiles.join(' or ')}`,
      ],
    });
  }
  const mismatch = /^Unable to negotiate with .*: (no matching .+?)\.? Their offer: /.exec(line)?.[1];
  if (mismatch !== undefined) {
    return new ExposeError('tunnel_rejected', `ssh and the server ${server} have nothing in common: ${mismatch}`, {
      hints: ['update the older of the two'],
    });
  }
  return undefined;
}

function loginRefused(why: string, { server, isAnonymous }: SshErrorContext): ExposeError {
  return new ExposeError('tunnel_rejected', `the SSH server ${server} does not let you in: ${why}`, {
    hints: [
      isAnonymous
        ? 'it may have become stricter: show it a key that it knows with --ssh-key, or use another --tunnel'
        : 'show it a key that it knows with --ssh-key, and check the user in --ssh user@host',
    ],
  });
}

function forwardingRefused({ server, remote, isAnonymous, isRestart }: SshErrorContext): ExposeError {
  const port = /\d+$/.exec(remote)?.[0] ?? remote;
  const what =
    port === '0' || isAnonymous
      ? `the SSH server ${server} forwards nothing to us`
      : `port ${port} is in use or forbidden at the SSH server ${server}`;
  const hints = isAnonymous
    ? ['try again in some minutes, or use another --tunnel']
    : ['ask for another port with --ssh-remote', 'its sshd_config has to allow it: AllowTcpForwarding, PermitListen'];
  return new ExposeError(isRestart ? 'tunnel_unavailable' : 'tunnel_rejected', what, { hints });
}
