// A key and a certificate that it has signed itself, for servers over TLS.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { temporaryDirectory } from './program.ts';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** The file of the certificate, which is its own authority. */
  readonly ca: string;
}

/** @param names as openssl has it: `DNS:*.example`, `IP:127.0.0.1`. */
export function selfSigned(names: readonly string[], lifetime: Lifetime = 'test'): Certificate {
  const folder = temporaryDirectory(lifetime);
  const [keyFile, ca] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', keyFile, '-out', ca], { stdio: 'ignore' });
  return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(ca, 'utf8'), ca };
}
