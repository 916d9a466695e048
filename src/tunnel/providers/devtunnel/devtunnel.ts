import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import { outputOf } from '../external/program-output.ts';
import type { TunnelProvider } from '../../provider.ts';
import { addPort, findNamedTunnel } from './named-tunnel.ts';
import { readDevtunnelLine, saysNotLoggedIn } from './output.ts';
import { openPortBridge } from './port-bridge.ts';

/** `devtunnel user show` reads the system's key chain, which can take long; in milliseconds. */
const loginTimeoutMs = 8000;

const installHint =
  'https://learn.microsoft.com/azure/developer/dev-tunnels/get-started explains how to install it; then run devtunnel user login';

export interface DevtunnelOptions {
  readonly environment: HostEnvironment;
  /** ID of an existing tunnel of the user; by default a temporary one is created. */
  readonly name?: string | undefined;
}

/**
 * Microsoft's dev tunnels through their program. Commands:
 * https://learn.microsoft.com/azure/developer/dev-tunnels/cli-commands.
 * @throws ExposeError `usage` for an invalid name.
 */
export function createDevtunnelProvider({ environment, name }: DevtunnelOptions): TunnelProvider {
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{1,58}[a-z0-9](?:\.[a-z0-9]+)?$/.test(name)) {
    throw new ExposeError('usage', `${JSON.stringify(name)} is not the ID of a dev tunnel`, {
      hints: ['devtunnel list shows the IDs of yours'],
    });
  }

  const program = new TunnelProgram(environment, 'devtunnel', installHint);

  async function unusable(signal: AbortSignal): Promise<string | undefined> {
    const shown = await outputOf(environment, 'devtunnel', ['user', 'show'], {
      timeoutMs: loginTimeoutMs,
      signal,
    });
    // It is sometimes slow, which is no reason against it.
    if (shown === undefined) return undefined;
    return shown.code !== 0 || saysNotLoggedIn(shown.stdout) ? 'devtunnel is not logged in' : undefined;
  }

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    if (name !== undefined) return await hostNamed(options, name);
    return await host(options, ['host', '-p', String(options.port), '--allow-anonymous']);
  }

  let isToldOfAccess = false;

  async function hostNamed(options: TunnelSessionOptions, id: string): Promise<TunnelSession> {
    const { port: listenerPort, signal, onWarning } = options;
    const tunnel = await findNamedTunnel(environment, id, signal);
    if (tunnel.isOpen === false && !isToldOfAccess) {
      isToldOfAccess = true;
      onWarning(
        `the dev tunnel ${id} asks visitors to log in: clients need a header X-Tunnel-Authorization, or open it to all with devtunnel access create ${id} --anonymous`,
      );
    }
    const port = tunnel.port ?? listenerPort;
    if (tunnel.port === undefined) await addPort(environment, id, port, signal);
    const closeBridge = port === listenerPort ? undefined : await openPortBridge(port, listenerPort);
    try {
      const session = await host(options, ['host', id]);
      const ended = session.ended.then(async (error) => {
        await closeBridge?.();
        return error;
      });
      return {
        publicUrls: session.publicUrls,
        ended,
        async close() {
          await session.close();
          await ended;
        },
      };
    } catch (error) {
      await closeBridge?.();
      throw error;
    }
  }

  async function host(options: TunnelSessionOptions, args: readonly string[]): Promise<TunnelSession> {
    return await program.start(options, { args, saysReady: true, read: readDevtunnelLine }).started;
  }

  return createExternalProvider({ environment, capabilities: capabilities.devtunnel, program, unusable, start });
}
