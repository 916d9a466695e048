import { excerpt } from '../../../platform/text/sanitize.ts';
import { baseUrl, failure, type LineReader } from '../external/output-event.ts';

/** Who can connect: everybody, or the machines of the same tailnet. */
export type Reach = 'internet' | 'tailnet';

/**
 * Reads what `tailscale funnel` and `tailscale serve` print in the foreground (cmd/tailscale/cli/serve_v2.go, messageForPort):
 * `Available on the internet:` or `Available within your tailnet:`, then the URL on its own line. Errors are from there, from
 * serve_legacy.go (enableFeatureInteractive), status.go (isRunningOrStarting), diag.go, ipn/serve.go (CheckFunnelAccess) and
 * ipn/ipnlocal/serve.go.
 * @param host name of this machine in its tailnet; URLs of other hosts are ignored.
 */
export function createTailscaleReader(reach: Reach, host: string): LineReader {
  let isAnnounced = false;
  let whatIsOff: string | undefined;

  return (line) => {
    const announced = /^Available (on the internet|within your tailnet):/.exec(line)?.[1];
    if (announced !== undefined) {
      isAnnounced = (announced === 'on the internet') === (reach === 'internet');
      return isAnnounced ? undefined : failure('tunnel_unavailable', 'tailscale serves the tailnet only');
    }
    if (isAnnounced && line.startsWith('https://')) {
      const url = baseUrl(line);
      if (url !== undefined && new URL(url).hostname === host) return { kind: 'urls', urls: [url] };
    }
    // It waits until somebody enables the feature at that URL; we do not.
    const feature = /\b(Funnel|Serve|HTTPS) is not enabled on your tailnet/i.exec(line)?.[1];
    if (feature !== undefined) {
      whatIsOff = feature;
      return undefined;
    }
    const where = whatIsOff === undefined ? undefined : /^https:\/\/login\.tailscale\.com\/f\/\S+$/.exec(line)?.[0];
    if (where !== undefined) {
      return failure('tunnel_rejected', `${whatIsOff} is not enabled in this tailnet`, [`enable it at ${where}`]);
    }
    return readRefusal(line);
  };
}

function readRefusal(line: string): ReturnType<LineReader> {
  const unavailable = /\bFunnel not available; (.*)/.exec(line)?.[1];
  if (unavailable !== undefined) {
    const where = /https:\/\/\S*[^\s.]/.exec(unavailable)?.[0] ?? 'https://tailscale.com/kb/1223/funnel';
    const why = excerpt(unavailable.replace(/\.?\s*See https.*$/, ''));
    return failure('tunnel_rejected', `Funnel is not allowed on this machine: ${why}`, [
      `${where} explains how to allow it`,
    ]);
  }
  const refusedPort = /\bport (\d+) is not allowed for funnel/.exec(line)?.[1];
  if (refusedPort !== undefined) {
    return failure('tunnel_rejected', `Funnel is not allowed on port ${refusedPort}`, [
      'give --public-url a port that the policy of the tailnet allows, or omit it',
    ]);
  }
  if (
    /\blistener already exists for port\b|\bforeground already exists\b|\bbackground configuration already exists\b/.test(
      line,
    )
  ) {
    return failure('tunnel_unavailable', `tailscale serves something else there already: ${excerpt(line)}`, [
      'tailscale serve status shows what',
    ]);
  }
  if (/^Logged out\.|\bnot logged in\b|\bNeedsLogin\b/i.test(line)) {
    return failure('tunnel_rejected', 'tailscale is logged out', ['run tailscale up']);
  }
  if (/not yet approved by tailnet admin/.test(line)) {
    return failure('tunnel_rejected', 'this machine is not yet approved in its tailnet', [
      'an administrator approves it at https://login.tailscale.com/admin/machines',
    ]);
  }
  // May pass: it can be started again, and updates restart the daemon.
  if (
    /^Tailscale is stopped\.|failed to connect to local tailscale|\bis not running\b|doesn't appear to be running/i.test(
      line,
    )
  ) {
    return failure('tunnel_unavailable', 'tailscale is not running', ['run tailscale up']);
  }
  if (/\baccess denied\b/i.test(line)) {
    return failure('tunnel_rejected', 'this user may not change what tailscale serves', [
      'run sudo tailscale set --operator=$USER once',
    ]);
  }
  return undefined;
}
