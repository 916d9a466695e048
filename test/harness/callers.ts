import type { CallerSource } from '../../src/auth/caller.ts';
import { TokenStore } from '../../src/auth/token-store.ts';

/** Knows one caller, who has this token; without a token, nothing that asks for one. */
export function callersOf(token: string | undefined): CallerSource | undefined {
  if (token === undefined) return undefined;
  const store = new TokenStore();
  store.add('test', {}, token);
  return store;
}
