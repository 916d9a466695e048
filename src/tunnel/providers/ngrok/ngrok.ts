import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { getLocalJson, pollLocal } from '../external/local-json.ts';
import type { ProcessSession } from '../external/process-session.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { readNgrokLine, readTunnels, type NgrokOutputEvent } from './log.ts';
import { loadNgrokSdk, startNgrokSdkSession, type NgrokSdk, findNgrokToken } from './sdk.ts';

const installHint = 'https://ngrok.com/download explains how to install it; or run npm install @ngrok/ngrok';
const logArguments = ['--log', 'stdout', '--log-format', 'json', '--log-level', 'info'];
const noToken = 'ngrok has no token: run ngrok config add-authtoken, or set NGROK_AUTHTOKEN';

export interface NgrokOptions {
  readonly environment: HostEnvironment;
  /** The URL to ask for: a domain of the account. */
  readonly publicUrl?: string | undefined;
  /** Default: the package `@ngrok/ngrok`, where it is installed. */
  readonly loadSdk?: () => Promise<NgrokSdk | undefined>;
}

/**
 * ngrok's tunnels: through its agent if that is installed, otherwise through its SDK, an optional peer dependency that is
 * loaded only then. Options of `ngrok http` and its environment: https://ngrok.com/docs/agent/cli and …/agent/config.
 */
export function createNgrokProvider({ environment, publicUrl, loadSdk = loadNgrokSdk }: NgrokOptions): TunnelProvider {
  const agent = new TunnelProgram(environment, 'ngrok', installHint);

  async function unusable(): Promise<string | undefined> {
    const isThere = (await agent.isInstalled()) || (await loadSdk()) !== undefined;
    if (!isThere) return agent.notInstalled().message;
    return (await findNgrokToken(environment)) === undefined ? noToken : undefined;
  }

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    if (await agent.isInstalled()) return await startAgent(agent, options, environment, publicUrl);
    const sdk = await loadSdk();
    if (sdk === undefined) throw agent.notInstalled();
    const token = await findNgrokToken(environment);
    if (token === undefined) {
      throw new ExposeError('tunnel_rejected', 'ngrok has no token', {
        hints: ['run ngrok config add-authtoken, or set NGROK_AUTHTOKEN'],
      });
    }
    return await startNgrokSdkSession({ ...options, sdk, clock: environment.clock, token, publicUrl });
  }

  return createExternalProvider({ environment, capabilities: capabilities.ngrok, unusable, start });
}

async function startAgent(
  agent: TunnelProgram,
  options: TunnelSessionOptions,
  environment: HostEnvironment,
  publicUrl: string | undefined,
): Promise<TunnelSession> {
  const { port } = options;
  const stop = new AbortController();
  let isConnected: boolean | undefined;
  let isUp = false;
  const said = new Set<string>();

  /** Asks the agent's API for the URL. */
  async function watchTunnels(address: string): Promise<void> {
    await pollLocal(address, environment.clock, stop.signal, async () => {
      const answer = await getLocalJson(`http://${address}/api/tunnels`, stop.signal);
      const found = answer === undefined ? undefined : readTunnels(answer.body, port);
      if (found !== undefined && !stop.signal.aborted) starting.take(found);
    });
  }

  function take(event: NgrokOutputEvent): void {
    switch (event.kind) {
      case 'web service':
        void watchTunnels(event.address);
        return;
      case 'connected':
        isConnected = true;
        return;
      case 'disconnected':
        // It repeats this at every attempt; one warning is enough.
        if (isConnected === false) return;
        isConnected = false;
        options.onWarning(
          isUp
            ? `ngrok has lost its connection and makes another one: ${event.reason}`
            : `ngrok does not reach its service and keeps trying: ${event.reason}`,
        );
        return;
      case 'warning':
        // About single requests, of which there may be many.
        if (said.has(event.message)) return;
        said.add(event.message);
        starting.take(event);
        return;
      default:
        starting.take(event);
    }
  }

  const starting: ProcessSession = agent.start(options, {
    args: ['http', `127.0.0.1:${port}`, ...(publicUrl === undefined ? [] : ['--url', publicUrl]), ...logArguments],
    // Including the token, since `ps` shows arguments.
    passedOn: ['NGROK_*'],
    read(line) {
      const event = readNgrokLine(line, port);
      if (event !== undefined) take(event);
      return undefined;
    },
  });
  try {
    const session = await starting.started;
    isUp = true;
    return session;
  } finally {
    stop.abort();
  }
}
