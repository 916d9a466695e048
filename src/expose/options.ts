import type { RequestReport } from '../http/responses/call-report.ts';
import type { ServerDescription } from '../bridge/describe-server.ts';
import type { Era } from '../mcp/revisions.ts';
import type { Confirm, PairingMode } from '../auth/oauth/authorize-endpoint.ts';
import type { OAuthEvent } from '../auth/oauth/events.ts';
import type { TokenLimits } from '../auth/token-limits.ts';
import type { TokenChange, TokenReport } from '../auth/token-store.ts';
import type { ExposeError } from '../errors.ts';
import type { Alert } from './alerts.ts';
import type { Attempt } from '../tunnel/open-first.ts';
import type { TunnelStatus } from '../tunnel/provider.ts';

import type { TunnelKind } from '../tunnel/kinds.ts';

export { defaultTunnelOrder } from '../tunnel/kinds.ts';

/** How a server answered when it was asked to describe itself: its description, or why there is none. */
export interface ServerReport {
  /** The name under which it is served, or its own name if it was given none. */
  readonly name: string;
  /** Path of its MCP endpoint. */
  readonly path: string;
  /** Its name, version, era, protocol version and number of tools; undefined if it did not answer. */
  readonly description: ServerDescription | undefined;
  /**
   * Era of the clients for which requests are translated: the one that the server does not speak. Undefined if none are; `unknown`
   * until the first legacy client of a modern server over stdio has shown whether that speaks both.
   */
  readonly translatedFor: Era | 'unknown' | undefined;
  /** Why it did not. */
  readonly error: ExposeError | undefined;
}

/** What happens while servers are being exposed. Never contains a secret. `server` is set if there are several. */
export type ExposeEvent =
  /** What the start is doing. */
  | { readonly type: 'progress'; readonly text: string }
  /** Something needs attention. */
  | { readonly type: 'warning'; readonly message: string }
  /** A server printed a line to its standard error. */
  | { readonly type: 'stderr'; readonly line: string; readonly server?: string }
  /** The tunnel changed. */
  | {
      readonly type: 'tunnel';
      readonly state: TunnelStatus['state'];
      readonly publicUrl: string;
      readonly reason?: string;
    }
  /** `tunnel.kind: 'auto'` tried a tunnel. */
  | ({ readonly type: 'attempt' } & Attempt)
  /** A session opened or ended. */
  | { readonly type: 'sessions'; readonly open: number; readonly server?: string }
  /** The configuration changed; these are the servers now. */
  | {
      readonly type: 'servers';
      readonly publicUrl: string | null;
      readonly localUrl: string;
      readonly servers: readonly ServerReport[];
    }
  /** A client signs in with OAuth. */
  | { readonly type: 'oauth'; readonly event: OAuthEvent; readonly pairingCode: string | undefined }
  /** A token was added, ended, or was used by its first client. */
  | { readonly type: 'token'; readonly name: string; readonly change: Exclude<TokenChange, 'called'> }
  /** Something is unusual: see docs/access.md. */
  | { readonly type: 'alert'; readonly alert: Alert }
  /** A call that needed approval was decided, or cancelled before. */
  | ({ readonly type: 'approval' } & ApprovalReport)
  /** A request was answered; only with `output.reportRequests`. */
  | ({ readonly type: 'request'; readonly server?: string } & RequestReport);

/** A call that needs approval. Names come from callers; they are cut to 200 characters. */
export interface ApprovalCall {
  /** Name of the token, or of the client that signed in. */
  readonly caller: string;
  /** Address of the client, if it is known. */
  readonly client: string | undefined;
  /** What the client says it is. */
  readonly clientInfo: { readonly name: string; readonly version: string };
  /** Name of the server, if there are several. */
  readonly server?: string;
  readonly tool: string;
  /** The arguments of the tool; undefined without any. */
  readonly arguments: unknown;
  /** The same as JSON, with numbers as they were sent: `arguments` has them rounded. */
  readonly argumentsJson: string | undefined;
}

/** Decides about a call. The signal is aborted if the call is cancelled, or has waited too long. */
export type OnApproval = (call: ApprovalCall, signal: AbortSignal) => boolean | Promise<boolean>;

/** What became of a call that needed approval. Has no arguments. */
export interface ApprovalReport extends Omit<ApprovalCall, 'arguments' | 'argumentsJson'> {
  readonly outcome: 'approved' | 'denied' | 'cancelled';
  /** Of a call that was denied, as in `data.reason` of the error that its client gets. */
  readonly reason?: string;
  readonly waitedMs: number;
}

export type { Alert, Confirm, OAuthEvent, PairingMode, TokenLimits, TokenReport };

export type TunnelChoice = 'auto' | 'none' | TunnelKind;

/** What to expose, and how to run it. Exactly one of `stdio`, `http`, `sse` and `config` is required. */
export interface ServerOptions {
  /** The command that starts the server: one line, split as a shell does, or the program and its arguments. */
  readonly stdio?: string | readonly [file: string, ...args: string[]] | undefined;
  /** URL of a server that speaks Streamable HTTP. */
  readonly http?: string | undefined;
  /** URL of a server that speaks the older HTTP+SSE transport. */
  readonly sse?: string | undefined;
  /** Configuration file that names servers: `mcpServers` as most clients write it, or VS Code's `servers`. */
  readonly config?: string | undefined;
  /** Servers of the configuration to expose. Default: all. */
  readonly names?: readonly string[] | undefined;
  /** Apply changes of the configuration file. Default: false. */
  readonly watch?: boolean | undefined;
  /** Working directory of the server. Default: that of this process. */
  readonly cwd?: string | undefined;
  /** Environment variables for the server, in addition to a few safe ones (see docs/environment.md). */
  readonly env?: ReadonlyMap<string, string> | undefined;
  /** Pass on the whole environment of this process. Default: false. */
  readonly inheritEnv?: boolean | undefined;
  /** How long a server may take to start and to answer `initialize`, in milliseconds. Default: 60 000. */
  readonly startTimeoutMs?: number | undefined;
  /** One server process (or connection) per session, or one shared by all. Default: `session`. */
  readonly isolation?: 'session' | 'shared' | undefined;
  /** Number of idle server processes to keep ready. Default: 1 once two have run at the same time. */
  readonly warm?: number | undefined;
  /** What to do when a server exits. Default: `on-exit`. */
  readonly restart?: 'on-exit' | 'never' | undefined;
  /** Headers that are sent to an `http` or `sse` server. */
  readonly headers?: ReadonlyMap<string, string> | undefined;
  /** PEM file with certificates that are trusted for an `http` or `sse` server, in addition to the usual ones. */
  readonly caFile?: string | undefined;
  /** How long connecting to an `http` or `sse` server may take, in milliseconds. Default: 10 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Allow unencrypted requests to an `http` or `sse` server on another machine. Default: false. */
  readonly allowPlainHttp?: boolean | undefined;
  /**
   * What the server speaks: revisions of MCP before 2026-07-28 (`legacy`), or that and later ones (`modern`). `auto`: it is asked. An
   * `sse` server is `legacy` in any case. Default: `auto`.
   */
  readonly upstreamEra?: 'auto' | 'legacy' | 'modern' | undefined;
  /** Refuse clients of the other era instead of translating for them. Default: false. */
  readonly strictEra?: boolean | undefined;
  /** Folders that a legacy server is told of when it asks a modern client for its roots outside of a call. Default: none. */
  readonly roots?: readonly string[] | undefined;
  /** Legacy servers (or connections to one) that run for modern clients at once. Default: 16. */
  readonly maxChildren?: number | undefined;
  /** How long a call of a modern client waits for what the server has asked it, in milliseconds. Default: 600 000. */
  readonly parkTtlMs?: number | undefined;
  /** For modern clients, let a legacy server do one call at a time, so that it is known which call asks. Default: false. */
  readonly serializeInteractive?: boolean | undefined;
}

/** Who may use the server. */
export interface AccessOptions {
  /** The bearer token that callers must send. Default: a new one. `false` requires none. */
  readonly token?: string | false | undefined;
  /** Instead of `token`: a file with the token that only its owner can read, or `-` for standard input. */
  readonly tokenFile?: string | undefined;
  /** Name of the token in reports and for `Exposed.tokens`. Default: `default`. */
  readonly tokenName?: string | undefined;
  /** How long the token is valid, in milliseconds; then its sessions end too. Default: as long as the server is exposed. */
  readonly expiresInMs?: number | undefined;
  /** Only the first client that initializes with the token can use it. Default: false. */
  readonly once?: boolean | undefined;
  /** Number of tool calls that the token allows. Default: any number. */
  readonly maxCalls?: number | undefined;
  /** File that keeps the tokens, as digests, for the next run. Default: none. */
  readonly stateFile?: string | undefined;
  /** Let clients sign in with OAuth 2.1 too, after approval; needs https, or no tunnel. Default: false. */
  readonly oauth?: boolean | undefined;
  /**
   * With `oauth`, how a client is approved. `code`: with a code that is typed into the page that it opens. `tty`: by `confirm`.
   * `both`: with both. Default: `code`.
   */
  readonly pairing?: PairingMode | undefined;
  /** With `pairing` `tty` or `both`: asks whether a client may have access. */
  readonly confirm?: Confirm | undefined;
  /**
   * With `oauth`, and instead of `pairing`: issuer of an OpenID provider at which users sign in (see docs/access.md); https, or
   * http on loopback. Needs `oidcClientId` and `allowUsers`. Default: none.
   */
  readonly oidcIssuer?: string | undefined;
  /** With `oidcIssuer`, the client id of mcp-expose at that provider. */
  readonly oidcClientId?: string | undefined;
  /** With `oidcIssuer`, the secret of that client. Default: none, as public clients have. */
  readonly oidcClientSecret?: string | undefined;
  /** Instead of `oidcClientSecret`: a file with the secret that only its owner can read. */
  readonly oidcClientSecretFile?: string | undefined;
  /** With `oidcIssuer`, who may sign in: verified e-mail addresses, or all of a domain, `*@example.com`. */
  readonly allowUsers?: readonly string[] | undefined;
  /** Let `mcp-expose token` of the same user change the tokens while this runs. Default: false. */
  readonly control?: boolean | undefined;
  /** With `token: false`, accept requests from other machines too. Default: false. */
  readonly allowUnauthenticatedPublic?: boolean | undefined;
  /**
   * Origins whose pages may use the server (CORS). Web pages: `https://app.example`, or all one label below,
   * `https://*.app.example`. Apps, extensions and web views: `tauri://localhost`, `vscode-webview://*`. Default: none.
   */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Client addresses that are accepted: addresses, ranges in CIDR notation, or `anthropic` (see docs/access.md). Default: all. */
  readonly allowIps?: readonly string[] | undefined;
  /** Requests per second that each caller may make. Default: any number. */
  readonly requestsPerSecond?: number | undefined;
  /** Tools that callers may use, by globs: `*` any characters, `?` one (see docs/access.md). Default: all. */
  readonly allowTools?: readonly string[] | undefined;
  /** Tools that they may not use, even if they are allowed. Default: none. */
  readonly denyTools?: readonly string[] | undefined;
  /** Resources that callers may read, by globs of their URIs. Default: all. */
  readonly allowResources?: readonly string[] | undefined;
  /** Resources that they may not read, even if they are allowed. Default: none. */
  readonly denyResources?: readonly string[] | undefined;
  /** Prompts that callers may use, by globs. Default: all. */
  readonly allowPrompts?: readonly string[] | undefined;
  /** Prompts that they may not use, even if they are allowed. Default: none. */
  readonly denyPrompts?: readonly string[] | undefined;
  /** Only tools that the server marks as read-only, and those that `allowTools` names without a wildcard. Default: false. */
  readonly readOnly?: boolean | undefined;
  /** Calls that wait for approval: `all`, `destructive` (tools that the server does not mark as harmless), or globs of tools. Default: none. */
  readonly approve?: readonly string[] | undefined;
  /** Decides about these calls. Without it and `approveCommand`, they are refused. */
  readonly onApproval?: OnApproval | undefined;
  /** Instead of `onApproval`: program that gets the call as JSON on its standard input, and approves it by exit code 0. */
  readonly approveCommand?: string | undefined;
  /** How long a call waits for approval, in milliseconds. Default: 120 000. */
  readonly approveTimeoutMs?: number | undefined;
}

/** How others reach the server. */
export interface TunnelOptions {
  /** `auto`, `none`, or one of docs/tunnels.md. Default: `auto`, which is the relay if `relay` is set, else the first of `order` that works. */
  readonly kind?: TunnelChoice | undefined;
  /** What `auto` tries, in order. Default: cloudflared, ngrok, tailscale, localhost.run, srv.us, pinggy, serveo. */
  readonly order?: readonly TunnelKind[] | undefined;
  /** URL of the relay to use, http(s). */
  readonly relay?: string | undefined;
  /** File with the key to which the name at the relay belongs, made if it is missing; several machines can use it. Default: one of this user. */
  readonly relayKey?: string | undefined;
  /** Serves the name at the relay together with other processes that set it and have the same key and token. Default: false. */
  readonly replica?: boolean | undefined;
  /** Name to request from the relay or the provider. Default at a relay: one derived from this user's key for it. */
  readonly name?: string | undefined;
  /**
   * Public URL of the tunnel, if its provider does not report it, or the one to request, if it can be chosen. With
   * `kind: 'none'`, that of a reverse proxy in front of the local listener; the proxy removes its path.
   */
  readonly publicUrl?: string | undefined;
  /** With `ssh` and the services over it: the server, `[user@]host[:port]`. */
  readonly ssh?: string | undefined;
  /** Private key for that server. Default: what ssh chooses. */
  readonly sshKey?: string | undefined;
  /** Where that server listens, `[bind:]port`. Default: a port of its choice. */
  readonly sshRemote?: string | undefined;
  /** Addresses on which `kind: 'lan'` listens. Default: all that a network can reach. */
  readonly lanAddresses?: readonly string[] | undefined;
  /** Port of 127.0.0.1 that the tunnel forwards to. Default: a free one. */
  readonly port?: number | undefined;
  /** Addresses to use instead of DNS, each `host:port:address`. Default: none. */
  readonly resolve?: readonly string[] | undefined;
}

/** The local listener, and its limits. */
export interface ListenOptions {
  /** Address or name to listen on. Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 picks a free one. Default: 0. */
  readonly port?: number | undefined;
  /** Host name of a reverse proxy that forwards here; a label before it selects a server. */
  readonly domain?: string | undefined;
  /** Largest request body, in bytes. Default: 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Largest message of a server, in bytes. Default: 64 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Concurrent sessions per server. Default: 32. */
  readonly maxSessions?: number | undefined;
  /** How long a session may have no message before it ends, in milliseconds. Default: 30 minutes. */
  readonly idleTimeoutMs?: number | undefined;
}

/** What is reported. */
export interface OutputOptions {
  /** Called for everything that happens. */
  readonly onEvent?: ((event: ExposeEvent) => void) | undefined;
  /** Report every request as an event, which has a cost per request. Default: false. */
  readonly reportRequests?: boolean | undefined;
  /** File to which a line of JSON is appended for each request and each decision about access (see docs/access.md). Default: none. */
  readonly auditFile?: string | undefined;
  /** With `auditFile`, record the arguments and results of calls too, without what looks secret. Default: false. */
  readonly auditBodies?: boolean | undefined;
}

/** The groups of options. */
export interface GroupedOptions {
  readonly server: ServerOptions;
  readonly access: AccessOptions;
  readonly tunnel: TunnelOptions;
  readonly listen: ListenOptions;
  readonly output: OutputOptions;
}

export type OptionGroup = keyof GroupedOptions;

/** Options of `expose()`. */
export interface ExposeOptions extends Omit<Partial<GroupedOptions>, 'server'> {
  readonly server: ServerOptions;
  /** Aborts the start; once it has resolved, use `close()`. */
  readonly signal?: AbortSignal | undefined;
}

/** The tunnel, for its users. */
export interface TunnelReport {
  /** Who carries the traffic. */
  readonly operator: string;
  /** Whether the operator can read it, including the token. */
  readonly readsTraffic: boolean;
  /** Headers that clients have to send in addition to the token, or they get a page for browsers instead. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the provider ends it, in milliseconds since 1970; undefined if it does not. */
  readonly expiresAt: number | undefined;
  /** Whether a request through the public URL came back here and the guard stopped it. */
  readonly isVerified: boolean;
  /** False if someone else answers at the public URL, so that nobody should send the token there. */
  readonly isTrusted: boolean;
}

/** An OpenID provider, as its users see it. */
export interface IdentityProviderReport {
  /** Its host, as the consent page shows it. */
  readonly host: string;
  /** The redirect URI that has to be registered there. It belongs to the public URL, and changes with it. */
  readonly redirectUri: string;
}

/** The tokens of a run. Only digests of them are kept. */
export interface Tokens {
  list(): readonly TokenReport[];
  /** Adds a token and returns it. @throws ExposeError `usage` if the name is taken or cannot be used, or a limit is not valid. */
  add(name: string, limits?: TokenLimits): string;
  /** Ends a token, with its sessions and streams. Returns false if no valid token has this name. */
  revoke(name: string): boolean;
  /** Replaces a token by a new one with the same limits, and returns that; undefined if no valid token has this name. */
  rotate(name: string): string | undefined;
}

/** Servers that are being exposed. */
export interface Exposed {
  /** URL of the MCP endpoint through the tunnel, or null without one; with several servers, their paths follow it. */
  readonly publicUrl: string | null;
  /** The same URL on this machine. */
  readonly localUrl: string;
  /** The bearer token with which it started; null if none is required, or if only its digest is known, from `access.stateFile`. */
  readonly token: string | null;
  /** The tokens that callers can use now; undefined if none is required. */
  readonly tokens: Tokens | undefined;
  /** With `access.oauth`, the code that a client's user has to type now. */
  readonly pairingCode: string | undefined;
  /** With `access.oidcIssuer`, where users sign in, and what has to be registered there. */
  readonly identityProvider: IdentityProviderReport | undefined;
  /** Name of the tunnel provider, `none` without one. */
  readonly provider: string;
  /** Whether `auto` tried tunnels and none worked. */
  readonly foundNoTunnel: boolean;
  /** The tunnel; undefined without one. */
  readonly tunnel: TunnelReport | undefined;
  /** What users of this tunnel must know before they trust it. */
  readonly notice: string | undefined;
  /** How each server answered when it was asked to describe itself. At least one did. */
  readonly servers: readonly ServerReport[];
  /**
   * Ends everything: accepts no more requests, waits for those in progress for `drainMs` (default: 10 000), then ends the
   * tunnel, the sessions and their processes. Resolves when nothing is left. Safe to call twice.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** Begins a new file at `output.auditFile` at once if the old one was moved, as happens anyway within a second of the next line. */
  reopenAudit(): void;
  /** Kills every server process at once, without waiting: for a process that must exit now. */
  kill(): void;
}
