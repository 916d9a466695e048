import type { TunnelChoice } from './options.ts';

/**
 * An option of the command line. Its group in the help is that of its key, and its environment variable is derived from the
 * flag: `MCP_EXPOSE_MAX_BODY` for `--max-body`.
 */
export interface OptionSpec {
  /** With the placeholder of its value: `--port <port>`. A switch has none. */
  readonly flag: string;
  readonly description: string;
  /** Throws `InvalidValue`. `previous` is what an earlier use of a repeatable option gave. Default: the text itself. */
  parse?(value: string, previous: unknown): unknown;
  readonly choices?: readonly string[];
  readonly defaultValue?: string | number;
  /** May be given several times; its environment variable has one value per line. */
  readonly isRepeatable?: true;
  /** What may be secret in its value: all of it, parts of a URL, or parts of a command line. Default: a word that looks like a secret. */
  readonly secrecy?: 'value' | 'url' | 'command';
  /** When it has an effect. Default: always. */
  readonly needs?: Need;
}

/**
 * What an option applies to: a server that is started (`process`), called (`url`; `url-or-config` also if it is in a
 * configuration), read from a configuration (`config`) or of one era or the other (`either-era`), a translation between eras, a token
 * that is required, an audit file, approvals, or these tunnels. With a token, `signIn` is what else it needs: OAuth, its identity provider (`oidc`), or OAuth without that (`pairing`).
 */
export type Need =
  | { readonly server: 'process' | 'url' | 'url-or-config' | 'config' | 'either-era' }
  | { readonly translation: true }
  | { readonly token: true; readonly signIn?: 'oauth' | 'oidc' | 'pairing' }
  | { readonly audit: true }
  | { readonly approve: true }
  | {
      readonly tunnels: readonly TunnelChoice[];
      /** Completes "has no effect …". Default: with the tunnel that is used. */
      readonly without?: string;
      readonly hint: string;
    };

/** `--port` of `--port <port>`. */
export function longOf({ flag }: OptionSpec): string {
  return flag.split(' ', 1)[0] ?? flag;
}
