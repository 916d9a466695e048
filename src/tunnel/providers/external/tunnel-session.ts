import type { ExposeError } from '../../../errors.ts';

/** One life of a tunnel that somebody else's program or service carries: from when it has a URL until it has ended. */
export interface TunnelSession {
  /** As `Tunnel.publicUrls`, when it began. */
  readonly publicUrls: readonly string[];
  /** As `Tunnel.expiresAt`. */
  readonly expiresAt?: number | undefined;
  /** Resolves when it has ended, whoever ended it, with the reason. Never rejects. */
  readonly ended: Promise<ExposeError>;
  /** Ends it; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}

export interface TunnelSessionOptions {
  /** Port on 127.0.0.1 that the tunnel is to lead to. */
  readonly port: number;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
  /** The URLs have changed while the tunnel went on: those that were may be of no use any more. */
  readonly onUrls: (publicUrls: readonly string[]) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Begins a life of the tunnel. Resolves once it has a URL.
 * @throws ExposeError with a `tunnel_*` code, or the signal's reason. Nothing of it is left then.
 */
export type StartTunnelSession = (options: TunnelSessionOptions) => Promise<TunnelSession>;
