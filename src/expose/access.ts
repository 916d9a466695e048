import type { CallerRules, CallerSource } from '../auth/caller.ts';
import { TokenStore, type StoredToken, type TokenStoreOptions } from '../auth/token-store.ts';
import { accessTokenPrefix, checkToken, generateToken, readTokenFile, weakTokenLength } from '../auth/token.ts';
import { ExposeError } from '../errors.ts';
import type { StateFile } from '../platform/state-file.ts';
import type { BindAddress } from '../http/addresses.ts';
import type { PolicyOf } from '../http/find-session.ts';
import { shellQuote } from '../platform/text/redact.ts';
import { both, createPolicy, readOnlyExceptions, type Policy } from '../policy/policy.ts';
import type { SignIn } from './oauth.ts';
import type { AccessOptions, ExposeOptions, TokenLimits, TokenReport, Tokens, TunnelOptions } from './options.ts';
import type { TunnelProvider } from '../tunnel/provider.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

const defaultTokenName = 'default';

/**
 * The bearer token that callers must send.
 * @param file with the tokens of earlier runs.
 * @returns undefined if none is required, or if it is in the file.
 * @throws ExposeError `token_unusable`, or the signal's reason.
 */
export async function chooseToken(
  { token, tokenFile, tokenName = defaultTokenName }: AccessOptions,
  file: StateFile<StoredToken> | undefined,
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<string | undefined> {
  if (token === false) {
    warn('no token is required: everybody who can connect can use the server');
    return undefined;
  }
  if (tokenFile === undefined && token === undefined) return isKeptIn(file, tokenName) ? undefined : generateToken();
  const own =
    tokenFile === undefined
      ? checkToken(token ?? '', 'MCP_EXPOSE_TOKEN')
      : await readTokenFile(tokenFile, process.stdin, signal);
  if (own.length < weakTokenLength)
    warn(`the token is short: ${weakTokenLength} random characters or more cannot be guessed`);
  return own;
}

/** Name of the token, which no other caller can have, with which mcp-expose probes its own public URL: the probe uses up no limit of the user's token. */
export const ownCaller = 'mcp-expose';

export interface RunTokensOptions extends Required<Pick<TokenStoreOptions, 'onEnd' | 'onChange'>> {
  readonly signIn: Pick<SignIn, 'list' | 'revoke'> | undefined;
  /** Whether the addresses of clients are known now, whichever way they come in. */
  readonly areAddressesKnown: () => boolean;
  readonly onWarning: (message: string) => void;
  /** Keeps the tokens for the next run. */
  readonly file: StateFile<StoredToken> | undefined;
}

/** Whether a file has a valid token of this name. */
function isKeptIn(file: StateFile<StoredToken> | undefined, name: string): boolean {
  const stored = file?.entries.find((entry) => entry.name === name && entry.state === 'valid');
  // It may have expired between two runs.
  return stored !== undefined && (stored.expiresAt === undefined || stored.expiresAt > Date.now());
}

/** The tokens of a run: the one that it starts with, the one of its own probe, and the clients that are signed in. */
export class RunTokens implements Tokens {
  readonly store: TokenStore;
  readonly #signIn: Pick<SignIn, 'list' | 'revoke'> | undefined;
  readonly #areAddressesKnown: () => boolean;
  readonly #onWarning: (message: string) => void;
  /** Then a token can make no exception. */
  readonly #isReadOnly: boolean;
  #saved = Promise.resolve(true);
  /** For requests of mcp-expose itself. */
  readonly probeToken: string;

  /**
   * @param token undefined if it is stored.
   * @throws ExposeError `usage` for the name of the token.
   */
  constructor(
    token: string | undefined,
    { tokenName = defaultTokenName, expiresInMs, once, maxCalls, readOnly = false }: AccessOptions,
    { onEnd, onChange, onWarning, areAddressesKnown, signIn, file }: RunTokensOptions,
  ) {
    this.#signIn = signIn;
    this.#areAddressesKnown = areAddressesKnown;
    this.#onWarning = onWarning;
    this.#isReadOnly = readOnly;
    let isStarted = false;
    this.store = new TokenStore({
      stored: file?.entries ?? [],
      onEnd,
      onChange: (name, change) => {
        if (name === ownCaller) return;
        if (file !== undefined)
          this.#saved = file.save(() => this.store.stored().filter((stored) => stored.name !== ownCaller));
        if (isStarted) onChange(name, change);
      },
    });
    this.probeToken = this.store.add(ownCaller);
    // The user's own token replaces a stored one, unless it is the same.
    if (token === undefined || this.store.has(tokenName, token)) {
      const ignored = [
        ...(expiresInMs === undefined ? [] : ['--expires']),
        ...(once === true ? ['--once'] : []),
        ...(maxCalls === undefined ? [] : ['--max-calls']),
      ];
      if (ignored.length > 0) {
        onWarning(
          `the stored token ${tokenName} keeps its limits, not those of ${ignored.join(', ')}; to change them, revoke it and start again: mcp-expose token revoke ${JSON.stringify(tokenName)}`,
        );
      }
    } else {
      this.revoke(tokenName);
      this.add(tokenName, { expiresInMs, once, maxCalls }, token);
    }
    isStarted = true;
  }

  list(): readonly TokenReport[] {
    return [...this.store.list().filter(({ name }) => name !== ownCaller), ...(this.#signIn?.list() ?? [])];
  }

  /** Whether a caller has this name, or had it. */
  isTaken(name: string): boolean {
    return name === ownCaller || this.list().some((report) => report.name === name);
  }

  add(name: string, limits: TokenLimits = {}, token?: string): string {
    if (limits.allowIps !== undefined && !this.#areAddressesKnown()) {
      throw new ExposeError('usage', 'a token cannot be for some addresses, since those of the clients are not known', {
        hints: ['use a tunnel that states them, see docs/access.md', 'behind a reverse proxy, let it restrict them'],
      });
    }
    if (this.#signIn?.list().some((client) => client.name === name) === true) {
      throw new ExposeError('usage', `a client that has signed in has the name ${name}`, {
        hints: [`choose another name, or end its access: mcp-expose token revoke ${shellQuote(name)}`],
      });
    }
    const added = this.store.add(name, limits, token);
    const exceptions = this.#isReadOnly ? [] : readOnlyExceptions(limits);
    if (exceptions.length > 0)
      this.#onWarning(`the read-only token ${name} allows these tools, whatever they change: ${exceptions.join(', ')}`);
    return added;
  }

  revoke(name: string): boolean {
    return (name !== ownCaller && this.store.revoke(name)) || this.#signIn?.revoke(name) === true;
  }

  rotate(name: string): string | undefined {
    return name === ownCaller ? undefined : this.store.rotate(name);
  }

  /** Whether the latest change of the tokens is on disk, if it has to be. Waits for that. Never rejects. */
  saved(): Promise<boolean> {
    return this.#saved;
  }
}

/** What every caller may use. */
export function choosePolicy(access: AccessOptions, warn: (message: string) => void): Policy {
  const exceptions = readOnlyExceptions(access);
  if (exceptions.length > 0)
    warn(`--read-only allows tools that --allow-tool names, whatever they change: ${exceptions.join(', ')}`);
  return createPolicy(access);
}

/** What each caller may use: what the run allows, and the caller's own rules, of which one policy is made. */
export function policiesOfCallers(policy: Policy): PolicyOf {
  const policies = new WeakMap<CallerRules, Policy>();
  return ({ rules }) => {
    if (rules === undefined) return policy;
    const known = policies.get(rules) ?? both(policy, createPolicy(rules));
    policies.set(rules, known);
    return known;
  };
}

/** Finds the callers behind the tokens of a run, and behind access tokens, which have a prefix of their own. */
export function callersOf(tokens: RunTokens | undefined, signIn: CallerSource | undefined): CallerSource | undefined {
  if (tokens === undefined || signIn === undefined) return tokens?.store;
  return {
    find: (token, endpoint) =>
      token.startsWith(accessTokenPrefix) ? signIn.find(token, endpoint) : tokens.store.find(token),
  };
}

/**
 * The tunnel to open. Without a token, `auto` opens none: omitting an option must not expose a server to everybody.
 */
export function guardedTunnel(
  { access = {}, tunnel = {} }: ExposeOptions,
  warn: (message: string) => void,
): TunnelOptions {
  const isGuarded = access.token !== false || access.allowUnauthenticatedPublic === true;
  if (isGuarded || (tunnel.kind ?? 'auto') !== 'auto' || tunnel.relay !== undefined) return tunnel;
  warn('no tunnel is opened: without a token, everybody could use the server');
  return { kind: 'none' };
}

/**
 * Rejects a replica whose clients could not use the others, and limits that only one of them would know to be reached.
 * @throws ExposeError `usage`
 */
export function checkReplica({ access = {}, tunnel = {} }: ExposeOptions): void {
  const { token, tokenFile, oauth, once, maxCalls } = access;
  const { kind = 'auto', relay, relayKey, replica } = tunnel;
  if (replica !== true || !(kind === 'relay' || (kind === 'auto' && relay !== undefined))) return;
  if (relayKey === undefined) {
    throw new ExposeError('usage', '--replica needs the key that the replicas share', {
      hints: ['name its file with --relay-key <file>, the same key for each'],
    });
  }
  if (token === undefined && tokenFile === undefined) {
    throw new ExposeError(
      'usage',
      '--replica needs the token that the replicas share, a generated one is known to one only',
      {
        hints: ['set it with --token-file <file> or MCP_EXPOSE_TOKEN, the same for each'],
      },
    );
  }
  const single = [
    ...(oauth === true ? ['--oauth'] : []),
    ...(once === true ? ['--once'] : []),
    ...(maxCalls === undefined ? [] : ['--max-calls']),
  ];
  if (single.length > 0) {
    throw new ExposeError(
      'usage',
      `--replica cannot be used with ${single.join(', ')}: each replica would count for itself`,
      {
        hints: [`omit --replica, or ${single.join(', ')}`],
      },
    );
  }
}

/**
 * Rejects a rule for addresses behind a reverse proxy: its requests all come from the address of the proxy.
 * @param hasFront as in `checkExposure`.
 * @throws ExposeError `usage`
 */
export function checkAddresses({ access = {}, listen = {} }: ExposeOptions, hasFront: boolean): void {
  if (access.allowIps === undefined || (!hasFront && listen.domain === undefined)) return;
  const option = hasFront ? '--public-url' : '--domain';
  throw new ExposeError('usage', `--allow-ip cannot be used behind the reverse proxy of ${option}`, {
    hints: ['let the proxy restrict the addresses, and omit --allow-ip'],
  });
}

/**
 * Whether the addresses of clients are known, whichever way they come in.
 * @param tunnel that of a reverse proxy states none.
 */
export function knowsAddresses({ listen = {} }: ExposeOptions, tunnel: TunnelProvider | undefined): boolean {
  return listen.domain === undefined && (tunnel === undefined || tunnel.capabilities.clientAddressHeader !== undefined);
}

/**
 * Rejects a run without a token that others can reach.
 * @param hasFront a reverse proxy forwards to the local listener.
 * @throws ExposeError `unauthenticated_public`
 */
export function checkExposure(
  { access = {}, listen: { host, domain } = {} }: ExposeOptions,
  bind: BindAddress,
  { kinds }: TunnelPlan,
  hasFront: boolean,
): void {
  if (access.token !== false || access.allowUnauthenticatedPublic === true) return;
  if (bind.isLoopback && kinds.length === 0 && domain === undefined && !hasFront) return;
  const where =
    kinds.length > 0
      ? `the tunnel (${kinds.join(' ')}) can be reached by others`
      : hasFront
        ? 'the proxy of --public-url forwards requests of others'
        : domain === undefined
          ? `${host} can be reached from other machines`
          : `the proxy of --domain ${domain} forwards requests of others`;
  throw new ExposeError('unauthenticated_public', `refused to expose the server without a token: ${where}`, {
    hints: ['omit --no-auth, or add --allow-unauthenticated-public if everybody may use the server'],
  });
}
