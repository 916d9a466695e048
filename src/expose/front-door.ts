import { networkInterfaces } from 'node:os';

import type { CallerSource } from '../auth/caller.ts';
import { clientAddress } from '../auth/client-address.ts';
import { createGuard, type Denial } from '../auth/guard.ts';
import { GuessLimit, RequestLimit, type Guessing } from '../auth/caller-limits.ts';
import { createHostList, type HostList } from '../auth/hosts.ts';
import { ExposeError } from '../errors.ts';
import { listenerUrls, type BindAddress, type ListenerUrls } from '../http/addresses.ts';
import { createCors } from '../http/cors.ts';
import type { Directory } from '../http/directory.ts';
import { createHandler } from '../http/handler.ts';
import { listen, type Listener } from '../http/listener.ts';
import { lanAddresses } from '../platform/net/addresses.ts';
import type { WayIn } from '../tunnel/open-tunnel.ts';
import type { SignIn } from './oauth.ts';
import type { RequestHandler, TunnelListener } from '../tunnel/provider.ts';

export interface FrontDoorOptions {
  readonly directory: Directory;
  /** Knows the callers; undefined if no credential is required. */
  readonly callers: CallerSource | undefined;
  /** Lets clients sign in with OAuth. */
  readonly signIn: SignIn | undefined;
  readonly allowsOrigin: (origin: string) => boolean;
  /** Whether clients with this address are accepted; undefined if all are. */
  readonly admitsAddress: ((address: string | undefined) => boolean) | undefined;
  /** For each caller; undefined if there is no limit. */
  readonly requestsPerSecond: number | undefined;
  readonly bind: BindAddress;
  readonly port: number;
  readonly tunnelPort: number;
  /** Host name of a reverse proxy. */
  readonly domain: string | undefined;
  /** A reverse proxy with a public URL forwards to the local listener; its requests are those of a tunnel. */
  readonly hasFront: boolean;
  readonly reportsClients: boolean;
  /** Called when a request is refused. */
  readonly onDenied: (denial: Denial, address: string | undefined) => void;
  /** There are many wrong tokens. */
  readonly onGuessing: (guessing: Guessing) => void;
  readonly onWarning: (message: string) => void;
}

/** The two ways in for requests, the local listener and the tunnel, each with a guard and its accepted host names. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #cors: ReturnType<typeof createCors>;
  // Separate lists: a host name that a relay reports must not be accepted by the local listener.
  readonly #localHosts: HostList;
  readonly #tunnelHosts: HostList;
  // One for both ways in.
  readonly #guessLimit: GuessLimit;
  readonly #requestLimit: RequestLimit | undefined;
  #localHandler: RequestHandler;
  #listener: Listener | undefined;
  #urls: ListenerUrls | undefined;

  constructor(options: FrontDoorOptions) {
    const { allowsOrigin, directory, requestsPerSecond, onGuessing } = options;
    const hostOptions = { allowsOrigin, hasLabel: (label: string) => directory.find(label) !== undefined };
    this.#options = options;
    this.#cors = createCors(allowsOrigin);
    this.#localHosts = createHostList(hostOptions);
    this.#tunnelHosts = createHostList(hostOptions);
    this.#guessLimit = new GuessLimit(onGuessing);
    this.#requestLimit = requestsPerSecond === undefined ? undefined : new RequestLimit(requestsPerSecond);
    this.#localHandler = this.#handlerFor(this.#localHosts);
  }

  /** Port and URL on this machine, after `open`. */
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

  /** Opens a listener for the tunnel; a reverse proxy uses the local listener. */
  async listenForTunnel(handler: RequestHandler): Promise<TunnelListener> {
    const { hasFront, tunnelPort, onWarning } = this.#options;
    if (!hasFront) return await listen('127.0.0.1', tunnelPort, handler, { portOption: '--tunnel-port', onWarning });
    this.#localHandler = handler;
    return {
      port: this.port,
      // The name of the proxy is no longer accepted.
      close: async () => {
        this.#localHandler = this.#handlerFor(this.#localHosts);
        this.#setLocalUrls([]);
      },
    };
  }

  /** Sets the public URLs of the tunnel. */
  setTunnelUrls(publicUrls: readonly string[]): void {
    if (this.#options.hasFront) this.#setLocalUrls(publicUrls);
    else this.#tunnelHosts.setUrls(publicUrls);
  }

  /** Accepts no more connections; open ones stay. */
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
    const { callers, signIn, directory, admitsAddress, reportsClients, onDenied, hasFront, domain } = this.#options;
    // At the local listener, requests of a reverse proxy cannot be told from those of this machine.
    const localHop = hasFront || domain !== undefined ? null : undefined;
    const hopHeader = hosts === this.#localHosts ? localHop : (way?.capabilities.clientAddressHeader ?? null);
    return createHandler({
      guard: createGuard({
        hosts,
        callers,
        challengeFor: signIn && ((endpoint, error) => signIn.challengeFor(endpoint, error)),
        hopHeader,
        admitsAddress,
        guessLimit: this.#guessLimit,
        requestLimit: this.#requestLimit,
        reportsClients,
      }),
      oauth: signIn && { routes: signIn, bodies: signIn.bodies },
      cors: this.#cors,
      directory,
      hasGetStreams: way?.hasGetStreams,
      isProbe: way?.isProbe,
      onDenied: (denial, source) => onDenied(denial, clientAddress(source, hopHeader)),
    });
  }
}

/** A proxy may serve the name on any port, with or without TLS. */
function domainUrls(domain: string | undefined): string[] {
  if (domain === undefined) return [];
  if (!URL.canParse(`https://${domain}`)) throw new ExposeError('usage', `--domain ${domain} is not a host name`);
  return [`https://${domain}`, `http://${domain}`];
}
