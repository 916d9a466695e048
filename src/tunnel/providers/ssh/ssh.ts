import { trustNotice } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { createGenericSshStart } from './generic-ssh.ts';
import { planSsh, type SshPlan, type SshProviderOptions } from './plan.ts';
import { createSshServiceStart } from './ssh-service.ts';

/**
 * Tunnels by the remote forwarding of ssh (RFC 4254, 7.1), to a service made for it or to any server.
 * @throws ExposeError `usage` for contradictory settings; `tunnel_unavailable` for a key that others can read.
 */
export function createSshProvider(options: SshProviderOptions): TunnelProvider {
  const plan = planSsh(options);
  const { environment, program, service } = plan;
  const startOne = service.read === undefined ? createGenericSshStart(plan) : createSshServiceStart(plan);
  let isRestart = false;

  async function start(session: TunnelSessionOptions): Promise<TunnelSession> {
    const begun = await startOne(session, isRestart);
    isRestart = true;
    return begun;
  }

  return createExternalProvider({
    environment,
    capabilities: service.capabilities,
    notice: noticeFor(plan),
    // Whether the server's name resolves is up to ssh: its configuration may be the only place that knows it.
    program,
    start,
  });
}

function noticeFor({ service, host, publicUrl }: SshPlan): string {
  if (service.read !== undefined) return trustNotice(service.capabilities);
  const trust = `the operator of ${host} can read the traffic, including the token`;
  return publicUrl?.startsWith('https:') === true
    ? trust
    : `${trust}; unless its URL begins with https, it is not encrypted between ${host} and the client either`;
}
