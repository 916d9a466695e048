import type { TunnelChoices } from './tunnel-plan.ts';
import type { RequestReport } from '../http/mcp-endpoint.ts';
import type { ServerSettings } from './servers/exposed-server.ts';
import type { ServerReport } from './servers/exposed-servers.ts';
import type { Attempt } from '../tunnel/open-first.ts';
import type { TunnelStatus } from '../tunnel/provider.ts';

export { defaultTunnelOrder, tunnelKinds, type TunnelKind } from '../tunnel/kinds.ts';

/** What happens while servers are being exposed. Never holds a secret. */
export type ExposeEvent =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'warning'; readonly message: string }
  /** `server` where there are several. */
  | { readonly type: 'stderr'; readonly line: string; readonly server?: string }
  | {
      readonly type: 'tunnel';
      readonly state: TunnelStatus['state'];
      readonly publicUrl: string;
      readonly reason?: string;
    }
  /** `tunnel: 'auto'` has looked at one of the ways that it knows. */
  | ({ readonly type: 'attempt' } & Attempt)
  | { readonly type: 'sessions'; readonly open: number; readonly server?: string }
  /** The configuration has changed, and these are the servers now. */
  | {
      readonly type: 'servers';
      readonly publicUrl: string | null;
      readonly localUrl: string;
      readonly servers: readonly ServerReport[];
    }
  | ({ readonly type: 'request' } & RequestReport);

/** Exactly one of `stdio`, `http`, `sse` and `config` says what to expose. */
export interface ExposeOptions extends ServerSettings, TunnelChoices {
  /** The command that starts the server: one line, split as a shell would, or the program and its arguments. */
  readonly stdio?: string | readonly [file: string, ...args: string[]] | undefined;
  /** URL of a server that speaks Streamable HTTP. */
  readonly http?: string | undefined;
  /** URL of a server that speaks the older HTTP+SSE transport. */
  readonly sse?: string | undefined;
  /** Configuration file that names servers: `mcpServers` as most clients write it, or VS Code's `servers`. */
  readonly config?: string | undefined;
  /** Of the configuration, only these servers. Default: all. */
  readonly servers?: readonly string[] | undefined;
  /** Follow changes of the configuration file. Default false. */
  readonly watch?: boolean | undefined;
  /** Working directory of the server. Default: ours. */
  readonly cwd?: string | undefined;
  /** Variables for the server beside a safe few of ours (see docs/environment.md). */
  readonly env?: ReadonlyMap<string, string> | undefined;
  /** Headers for `http` and `sse`. */
  readonly upstreamHeaders?: ReadonlyMap<string, string> | undefined;
  /** The bearer token that callers must bring; a new one when left out; false lets everybody in. */
  readonly token?: string | false | undefined;
  /** Instead of `token`: a file that only its owner may read and that holds it, or `-` for standard input. */
  readonly tokenFile?: string | undefined;
  /** Needed to let everybody in where more than this machine can connect. Default false. */
  readonly allowUnauthenticatedPublic?: boolean | undefined;
  /** Address or name to listen on. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0, the default, picks a free one. */
  readonly port?: number | undefined;
  /** A host name under which a proxy leads to the listener; a server's name may stand in front of it. */
  readonly domain?: string | undefined;
  /** Largest request body in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /**
   * Origins whose pages may use the server (CORS): of web pages, `https://app.example`, also of all one label below,
   * `https://*.app.example`; of apps, extensions and web views, `tauri://localhost`, `vscode-webview://*`.
   */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Gives up starting; later use `close`. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: ExposeEvent) => void) | undefined;
  /** Report every request as an event, which costs on each of them. Default false. */
  readonly reportRequests?: boolean | undefined;
}

/** What users of a tunnel may want to know. */
export interface TunnelReport {
  /** Who carries the traffic. */
  readonly operator: string;
  /** Whether they could read it, the token included. */
  readonly readsTraffic: boolean;
  /** Headers that clients have to send beside the token, where a page for people would come in their place. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the provider will end it, in milliseconds since 1970; undefined when it will not. */
  readonly expiresAt: number | undefined;
  /** Whether a request of ours has come back through the public URL, and the guard has stopped it. */
  readonly isVerified: boolean;
  /** False when somebody else answers there, so that nobody should send the token. */
  readonly isTrusted: boolean;
}

/** Servers that are being exposed. */
export interface Exposed {
  /** Through the tunnel, or null without one: URL of the MCP endpoint or, with several servers, what their paths follow. */
  readonly publicUrl: string | null;
  /** The same on this machine. */
  readonly localUrl: string;
  /** The bearer token, or null where everybody is let in. */
  readonly token: string | null;
  /** Name of the tunnel provider, `none` without one. */
  readonly provider: string;
  /** Whether `auto` has looked for a tunnel and found none. */
  readonly foundNoTunnel: boolean;
  /** What can be done through the tunnel, and who carries it; undefined without one. */
  readonly tunnel: TunnelReport | undefined;
  /** What users of this tunnel must know before they trust it. */
  readonly notice: string | undefined;
  /** How each server did when it was asked what it is. At least one has answered. */
  readonly servers: readonly ServerReport[];
  /**
   * Ends everything: takes no more requests, waits for those under way (10 s unless told otherwise), then ends the
   * tunnel, the sessions and their processes. Resolves when nothing is left. Safe to call twice.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** Kills every server process at once, without waiting: for a process that must exit now. */
  kill(): void;
}
