// What happens between a run with `--oauth`, a client that wants in, and the person who reads the code on the terminal.
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import { type Exposed, type ExposeOptions, startExpose } from './expose.ts';
import { type Callback, type Chromium, startCallback, typeCode } from './oauth-browser.ts';
import { createOAuthClient, type OAuthClient, type OAuthClientOptions, type OAuthVersion } from './oauth-clients.ts';
import { fixture } from './program.ts';
import type { SdkClient } from './sdk-clients.ts';

/** Has tools that are read-only and others, on two pages of their list. */
export const sharedServer: string[] = fixture('flips-hint');

export const startShared = (options: ExposeOptions = {}): Promise<Exposed> =>
  startExpose({ server: sharedServer, lifetime: 'file', ...options, args: ['--oauth', ...(options.args ?? [])] });

/** The code that the terminal shows. */
export function codeOf({ events, ready }: Exposed): string {
  const changed = events().findLast(({ kind }) => kind === 'pairing_code_changed');
  return typeof changed?.['code'] === 'string' ? changed['code'] : (ready.pairingCode ?? '');
}

/** Uses the code up; the next one is shown then. */
export async function withCode<T>(exposed: Exposed, use: (code: string) => Promise<T>): Promise<T> {
  const code = codeOf(exposed);
  const result = await use(code);
  await eventually(() => expect(codeOf(exposed)).not.toBe(code));
  return result;
}

export interface SignInOptions extends Partial<OAuthClientOptions> {
  version?: OAuthVersion;
}

/** A client that wants in, with the consent page that it opens. */
export async function knock(
  exposed: Pick<Exposed, 'url'>,
  { version = 'v1', ...options }: SignInOptions = {},
): Promise<{ client: OAuthClient; callback: Callback; url: string }> {
  const callback = options.callback ?? (await startCallback());
  const client = createOAuthClient(version, exposed.url, { ...options, callback });
  return { client, callback, url: await client.signIn() };
}

/** The whole way in. */
export async function signIn(
  chromium: Chromium,
  exposed: Exposed,
  options: SignInOptions = {},
): Promise<{ client: OAuthClient; connected: SdkClient }> {
  const { client, callback, url } = await knock(exposed, options);
  const page = await chromium.open(url);
  await withCode(exposed, (code) => typeCode(page, code));
  return { client, connected: await client.finish(await callback.next()) };
}
