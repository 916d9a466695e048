import { tokenNameSyntax } from '../auth/token-name.ts';
import type { StoredToken } from '../auth/token-store.ts';
import { areRules } from '../auth/token-limits.ts';
import type { Fields } from '../platform/json-fields.ts';
import { openStateFile, type StateFile } from '../platform/state-file.ts';

const states: ReadonlySet<unknown> = new Set(['valid', 'expired', 'revoked', 'exhausted']);

/** Base64 of a SHA-256. */
const digestSyntax = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Opens the file in which the tokens of a run are kept for the next one, as digests.
 * @throws ExposeError `state_unusable`, as `openStateFile` does.
 */
export async function openTokenFile(
  path: string,
  onWarning: (message: string) => void,
): Promise<StateFile<StoredToken>> {
  const live = new Set<string>();
  return await openStateFile({
    path,
    isChosen: true,
    // A run that has not heard of a revocation would accept the token, and write it back.
    isExclusive: true,
    what: 'the state of the tokens',
    // Version 1 knew no rules: a program that ignores them would let these tokens do everything.
    version: 2,
    member: 'tokens',
    readEntry(fields) {
      const token = readToken(fields);
      if (token === undefined || token.state === 'expired' || token.state === 'revoked') return token;
      // Only one of them could be revoked.
      if (live.has(token.name)) return undefined;
      live.add(token.name);
      return token;
    },
    loss: {
      withoutFile: 'the tokens of earlier runs are then no longer accepted',
      unwritten: 'the tokens do not survive a restart',
      notSaved: 'changes of the tokens may not survive a restart',
      // On another machine, where a lock says nothing.
      shared: 'give each run a --state of its own, or changes of the tokens will be lost',
    },
    onWarning,
  });
}

function readToken({ scope, ...fields }: Fields): StoredToken | undefined {
  if (scope !== undefined && scope !== 'mcp' && scope !== 'mcp:read') return undefined;
  // How version 1 says that a token is read-only.
  const entry = scope === 'mcp:read' ? { ...fields, readOnly: true } : fields;
  return isToken(entry) ? entry : undefined;
}

function isToken(fields: Fields): fields is Fields & StoredToken {
  const { name, digest, state, createdAt, expiresAt, once, client, maxCalls, calls, ...rules } = fields;
  return (
    typeof name === 'string' &&
    tokenNameSyntax.test(name) &&
    typeof digest === 'string' &&
    digestSyntax.test(digest) &&
    states.has(state) &&
    typeof createdAt === 'number' &&
    isCount(calls) &&
    (expiresAt === undefined || typeof expiresAt === 'number') &&
    (once === undefined || once === true) &&
    (client === undefined || typeof client === 'string') &&
    (maxCalls === undefined || isCount(maxCalls)) &&
    areRules(rules)
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
