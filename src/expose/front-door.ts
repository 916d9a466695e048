import { networkInterfaces } from 'node:os';

import { createGuard } from '../auth/guard.ts';
import { createHostList, type HostList } from '../auth/hosts.ts';
import { ExposeError } from '../errors.ts';
import { listenerUrls, type BindAddress, type ListenerUrls } from '../http/addresses.ts';
import { createCors } from '../http/cors.ts';
import type { Directory } from '../http/directory.ts';
import { createHandler } from '../http/handler.ts';
import { listen, type Listener } from '../http/listener.ts';
import { lanAddresses } from '../platform/net/addresses.ts';
import type { WayIn } from '../tunnel/open-tunnel.ts';
import type { RequestHandler, TunnelListener } from '../tunnel/provider.ts';

export interface FrontDoorOptions {
  readonly directory: Directory;
  readonly token: string | undefined;
  readonly allowsOrigin: (origin: string) => boolean;
  readonly bind: BindAddress;
  readonly port: number;
  readonly tunnelPort: number;
  /** Host name of a reverse proxy. */
  readonly domain: string | undefined;
  /** A reverse proxy with a public URL forwards to the local listener; its requests are those of a tunnel. */
  readonly hasFront: boolean;
  readonly reportsClients: boolean;
  readonly onWarning: (message: string) => void;
}

/** Where requests arrive: the local listener and the tunnel, each with a guard and the hosts by which it may be called. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #cors: ReturnType<typeof createCors>;
  // Apart: a host name that a relay reports must not be accepted where only this machine may connect.
  readonly #localHosts: HostList;
  readonly #tunnelHosts: HostList;
  #localHandler: RequestHandler;
  #listener: Listener | undefined;
  #urls: ListenerUrls | undefined;

  constructor(options: FrontDoorOptions) {
    const { allowsOrigin, directory } = options;
    const hostOptions = { allowsOrigin, hasLabel: (label: string) => directory.find(label) !== undefined };
    this.#options = options;
    this.#cors = createCors(allowsOrigin);
    this.#localHosts = createHostList(hostOptions);
    this.#tunnelHosts = createHostList(hostOptions);
    this.#localHandler = this.#handlerFor(this.#localHosts);
  }

  /** Port and URL on this machine, once it is open. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  get localUrl(): string {
    return this.#urls?.local ?? '';
  }

  /** @throws ExposeError `address_in_use`, `address_unavailable`, `too_many_open_files` */
  async open(): Promise<void> {
    const { bind, port, onWarning } = this.#options;
    this.#listener = await listen(bind.address, port, (request, response) => this.#localHandler(request, response), {
      onWarning,
    });
    this.#urls = listenerUrls(bind, this.port, lanAddresses(networkInterfaces()));
    this.#setLocalUrls([]);
    if (bind.isLoopback) return;
    const where = this.#urls.others.length === 0 ? `port ${this.port}` : this.#urls.others.join(' ');
    onWarning(`others can connect at ${where}; this is not encrypted, everybody on the network can read the token`);
  }

  /** Answers the requests of a tunnel. */
  tunnelHandler(way: WayIn): RequestHandler {
    return this.#handlerFor(this.#options.hasFront ? this.#localHosts : this.#tunnelHosts, way);
  }

  /** Listens for the tunnel alone; for a reverse proxy in front, the local listener does. */
  async listenForTunnel(handler: RequestHandler): Promise<TunnelListener> {
    const { hasFront, tunnelPort, onWarning } = this.#options;
    if (!hasFront) return await listen('127.0.0.1', tunnelPort, handler, { portOption: '--tunnel-port', onWarning });
    this.#localHandler = handler;
    return {
      port: this.port,
      // The proxy's name does not lead here any more.
      close: async () => {
        this.#localHandler = this.#handlerFor(this.#localHosts);
        this.#setLocalUrls([]);
      },
    };
  }

  /** The URLs by which the tunnel's requests come. */
  setTunnelUrls(publicUrls: readonly string[]): void {
    if (this.#options.hasFront) this.#setLocalUrls(publicUrls);
    else this.#tunnelHosts.setUrls(publicUrls);
  }

  /** Accepts no more connections; those that are open go on. */
  stop(): void {
    this.#listener?.stop();
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }

  #setLocalUrls(publicUrls: readonly string[]): void {
    this.#localHosts.setUrls([...(this.#urls?.all ?? []), ...domainUrls(this.#options.domain), ...publicUrls]);
  }

  #handlerFor(hosts: HostList, way?: WayIn): RequestHandler {
    const { token, directory, reportsClients } = this.#options;
    // Clients on this machine connect to the local listener themselves, whether others come through a proxy or not.
    const hopHeader = hosts === this.#localHosts ? undefined : (way?.capabilities.clientAddressHeader ?? null);
    return createHandler({
      guard: createGuard({ hosts, token, hopHeader }),
      cors: this.#cors,
      directory,
      hasGetStreams: way?.hasGetStreams,
      reportsClients,
    });
  }
}

/** A proxy may serve the name on any port, with or without TLS. */
function domainUrls(domain: string | undefined): string[] {
  if (domain === undefined) return [];
  if (!URL.canParse(`https://${domain}`)) throw new ExposeError('usage', `--domain ${domain} is not a host name`);
  return [`https://${domain}`, `http://${domain}`];
}
