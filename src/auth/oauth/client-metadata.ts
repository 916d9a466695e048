import { excerpt, toSingleLine } from '../../platform/text/sanitize.ts';
import { redirectUriProblem } from './redirect-uris.ts';

/** Longest name that is shown, in UTF-16 units. */
const maxNameLength = 100;

/** A client registers one or two for each of its programs. */
const maxRedirectUris = 16;

/** A client that may ask for authorization. */
export interface Client {
  readonly id: string;
  /** What the client calls itself: never proof of who it is. Without control characters. */
  readonly name: string;
  readonly redirectUris: readonly string[];
  /** Host of its metadata document; undefined if it registered itself. */
  readonly publisher: string | undefined;
}

/** Client metadata (RFC 7591 §2) as far as it is used; what else a client declares is dropped. */
export interface ClientMetadata {
  readonly name: string | undefined;
  readonly redirectUris: readonly string[];
  /** Those that the client may not use, and why. */
  readonly refused: readonly { readonly uri: string; readonly reason: string }[];
}

/** @returns why it is not client metadata. */
export function readClientMetadata(value: unknown): ClientMetadata | string {
  if (!isRecord(value)) return 'it is not a JSON object';
  const { client_name: name, redirect_uris: uris } = value;
  if (!Array.isArray(uris) || uris.length === 0) return 'redirect_uris is missing or empty';
  if (uris.length > maxRedirectUris) return `it has more than ${maxRedirectUris} redirect_uris`;
  const redirectUris: string[] = [];
  const refused: { uri: string; reason: string }[] = [];
  for (const uri of uris) {
    if (typeof uri !== 'string') return 'redirect_uris has something other than strings';
    const reason = redirectUriProblem(uri);
    if (reason === undefined) redirectUris.push(uri);
    else refused.push({ uri: toSingleLine(uri), reason });
  }
  return { name: readName(name), redirectUris, refused };
}

/**
 * A name without what could imitate something else, and without a `-` at its beginning, with which a command would take it for
 * an option; undefined if nothing is left.
 */
function readName(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return excerpt(toSingleLine(value).replace(/^[-\s]+/, ''), maxNameLength) || undefined;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
