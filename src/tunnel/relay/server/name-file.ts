import { join } from 'node:path';

import type { Fields } from '../../../platform/json-fields.ts';
import { openStateFile, type StateFile } from '../../../platform/state-file.ts';
import { configFolder, fileStem, makeFolder } from '../../config-folder.ts';
import { isDerivedForm, isValidName } from '../protocol/identity.ts';

/** Longest origin, in characters: an IPv6 network. */
const maxOriginLength = 64;

/** A wished name as it is stored. */
export interface KeptName {
  readonly name: string;
  readonly publicKey: string;
  readonly origin: string;
  /** Milliseconds since 1970; omitted for a name that was online. */
  readonly offlineSince?: number;
}

export interface NameFileOptions {
  /** The path chosen by the operator; by default a file in the configuration folder that belongs to `relay`. */
  readonly path?: string | undefined;
  /** Distinguishes this relay from others of the same user: its public URL, or else its addresses. */
  readonly relay: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onWarning: (message: string) => void;
}

/**
 * Opens the file in which a relay stores which key has which wished name. Starting without it would give names to whoever asks
 * first.
 * @throws ExposeError `state_unusable`, as `openStateFile` does.
 */
export async function openNameFile({ path, relay, env, onWarning }: NameFileOptions): Promise<StateFile<KeptName>> {
  const folder = join(configFolder(env), 'relays');
  const file = await openStateFile({
    path: path ?? join(folder, `${fileStem(relay)}.json`),
    isChosen: path !== undefined,
    ...(path === undefined ? { makeFolder: () => makeFolder(folder) } : {}),
    what: "the relay's state",
    version: 1,
    member: 'names',
    readEntry: readName,
    loss: {
      withoutFile: 'requested names then go to the first agent that asks',
      unwritten:
        'after a restart of this relay, requested names go to the first agent that asks (--state names another file)',
      notSaved: 'requested names may not survive a restart',
      shared: 'give each relay a --state of its own, or names will be lost',
    },
    onWarning,
  });
  const byName = new Map(file.entries.map((entry) => [entry.name, entry]));
  return { ...file, entries: [...byName.values()] };
}

function readName({ name, publicKey, origin, offlineSince }: Fields): KeptName | undefined {
  const isKept = typeof name === 'string' && isValidName(name) && !isDerivedForm(name);
  const isKey = typeof publicKey === 'string' && /^[\w-]{43}$/.test(publicKey);
  if (!isKept || !isKey || typeof origin !== 'string' || origin.length > maxOriginLength) return undefined;
  if (offlineSince === undefined) return { name, publicKey, origin };
  return typeof offlineSince === 'number' ? { name, publicKey, origin, offlineSince } : undefined;
}
