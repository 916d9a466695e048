import { appendFileSync, existsSync, linkSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

import { ExposeError, messageOf } from '../../../errors.ts';
import { configFolder, makeFolder } from '../../config-folder.ts';
import { outputOf, type LookupEnvironment } from '../external/program-output.ts';
import { makeTemporaryFolder } from '../external/temporary-folder.ts';

/** Our own files for ssh, instead of those of the user. */
export interface SshFiles {
  readonly knownHostsFile: string;
  /** A private key without a passphrase; undefined unless requested. */
  readonly keyFile: string | undefined;
  /** Removes what is not kept for the next run. */
  close(): void;
}

export interface SshFilesOptions {
  readonly environment: LookupEnvironment;
  /** What the key is for: each service gets another, so that no two of them can recognise the same user. Undefined for none. */
  readonly keyFor: string | undefined;
  readonly onWarning: (message: string) => void;
}

/**
 * Keeps the files in the user's configuration folder or, with a warning, in a temporary one.
 * @throws ExposeError `tunnel_not_installed` without ssh-keygen, `tunnel_unavailable` for a key that others can read.
 */
export async function openSshFiles({ environment, keyFor, onWarning }: SshFilesOptions): Promise<SshFiles> {
  try {
    return { ...(await openIn(configFolder(environment.env), environment, keyFor)), close() {} };
  } catch (error) {
    if (error instanceof ExposeError) throw error;
    onWarning(`what ssh has to remember cannot be kept: ${messageOf(error)}`);
  }
  const folder = makeTemporaryFolder('ssh');
  try {
    return { ...(await openIn(folder.path, environment, keyFor)), close: folder.remove };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

async function openIn(
  folder: string,
  environment: LookupEnvironment,
  keyFor: string | undefined,
): Promise<Omit<SshFiles, 'close'>> {
  makeFolder(folder);
  const knownHostsFile = path.join(folder, 'known_hosts');
  appendFileSync(knownHostsFile, '', { mode: 0o600 });
  if (keyFor === undefined) return { knownHostsFile, keyFile: undefined };
  const keyFile = path.join(folder, `id_ed25519_${keyFor}`);
  await openKey(keyFile, environment);
  return { knownHostsFile, keyFile };
}

/** Created in a draft folder and linked, so that two processes that start together use the same key. */
async function openKey(keyFile: string, environment: LookupEnvironment): Promise<void> {
  if (existsSync(keyFile)) {
    refuseReadable(keyFile);
    return;
  }
  const draft = mkdtempSync(path.join(path.dirname(keyFile), '.new-key-'));
  try {
    const made = path.join(draft, 'key');
    const args = ['-q', '-t', 'ed25519', '-N', '', '-C', 'mcp-expose', '-f', made];
    const result = await outputOf(environment, 'ssh-keygen', args);
    if (result?.code !== 0) {
      throw new ExposeError('tunnel_not_installed', 'ssh-keygen, which comes with ssh, made no key', {
        hints: ['install the whole of OpenSSH’s client, or name a key with --ssh-key'],
      });
    }
    linkUnlessThere(`${made}.pub`, `${keyFile}.pub`);
    linkUnlessThere(made, keyFile);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/**
 * ssh would only warn, and then continue without the key.
 * @throws ExposeError `tunnel_unavailable`.
 */
export function refuseReadable(keyFile: string): void {
  // Windows has no such bits; the folder's access list protects the file there.
  if (process.platform === 'win32' || (statSync(keyFile).mode & 0o077) === 0) return;
  throw new ExposeError('tunnel_unavailable', `the SSH key ${keyFile} can be read by other users`, {
    hints: [`make it yours alone: chmod 600 '${keyFile}'`],
  });
}
