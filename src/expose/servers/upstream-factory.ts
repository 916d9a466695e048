import { readFile } from 'node:fs/promises';

import type { ListenOptions, ServerOptions } from '../options.ts';
import type { ServerCommand } from '../../bridge/upstream/stdio/command-line.ts';
import { childEnvironment } from '../../platform/process/environment.ts';
import { defaultMaxMessageBytes } from '../../bridge/limits.ts';
import type { ConnectionOwner } from '../../bridge/restart/managed-connection.ts';
import type { Watchdog } from '../../platform/process/watchdog.ts';
import { ExposeError, messageOf } from '../../errors.ts';

/** The command that starts a server, or the URL of a running one. */
export type ServerSource =
  | {
      readonly kind: 'stdio';
      readonly command: ServerCommand;
      readonly cwd?: string | undefined;
      readonly env: ReadonlyMap<string, string>;
    }
  | { readonly kind: 'http' | 'sse'; readonly url: string; readonly headers: ReadonlyMap<string, string> };

/** How to connect to servers, the same for all of a run. */
export type ConnectionSettings = Pick<ServerOptions, 'inheritEnv' | 'caFile' | 'connectTimeoutMs' | 'allowPlainHttp'> &
  Pick<ListenOptions, 'maxMessageBytes'>;

export interface UpstreamFactoryOptions {
  readonly source: ServerSource;
  readonly settings: ConnectionSettings;
  readonly watchdog: Watchdog;
  readonly onStderr: (line: string) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Creates a connection to the server, not yet started. Its messages to the user are shown only while `isWanted()`. A process
 * serves the era in which it is spoken to first, and an HTTP+SSE server the legacy one only.
 */
export type UpstreamFactory = ConnectionOwner['connect'];

/**
 * Creates connections to one server of any kind. Imports only what that kind needs.
 * @throws ExposeError `upstream_url_refused`, or `usage` for a header or a file of certificates that cannot be used.
 */
export async function createUpstreamFactory(options: UpstreamFactoryOptions): Promise<UpstreamFactory> {
  const { source, settings, watchdog, onStderr, onWarning } = options;
  const { maxMessageBytes = defaultMaxMessageBytes } = settings;
  if (source.kind === 'stdio') {
    const [{ execa }, { StdioUpstream }] = await Promise.all([
      import('../../platform/process/execa.ts'),
      import('../../bridge/upstream/stdio/stdio.ts'),
    ]);
    const { command, cwd } = source;
    const env = childEnvironment({ own: process.env, inherit: settings.inheritEnv ?? false, extra: source.env });
    return (isWanted) =>
      new StdioUpstream({
        command,
        ...(cwd === undefined ? {} : { cwd }),
        env,
        execa,
        watchdog,
        maxMessageBytes,
        onStderr: (line) => isWanted() && onStderr(line),
        onWarning: (message) => isWanted() && onWarning(message),
      });
  }
  const { caFile, connectTimeoutMs, allowPlainHttp = false } = settings;
  const [{ checkUpstreamUrl }, { checkUpstreamHeaders }] = await Promise.all([
    import('../../bridge/upstream/http/upstream-url.ts'),
    import('../../bridge/upstream/http/upstream-headers.ts'),
  ]);
  checkUpstreamUrl(source.url, { allowPlainHttp });
  checkUpstreamHeaders(source.headers);
  const ca = caFile === undefined ? undefined : await readCertificates(caFile);
  const http = {
    url: source.url,
    headers: source.headers,
    env: process.env,
    allowPlainHttp,
    maxMessageBytes,
    ...(ca === undefined ? {} : { ca }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  };
  if (source.kind === 'http') {
    const [{ StreamableHttpUpstream }, { HttpQuestions }, { ModernHttpUpstream }] = await Promise.all([
      import('../../bridge/upstream/http/streamable-http.ts'),
      import('../../bridge/era/http-questions.ts'),
      import('../../bridge/upstream/http/modern-http.ts'),
    ]);
    return (isWanted, era, isBrief) => {
      const Modern = isBrief ? HttpQuestions : ModernHttpUpstream;
      const Connection = era === 'legacy' ? StreamableHttpUpstream : Modern;
      return new Connection({ ...http, onWarning: (message) => isWanted() && onWarning(message) });
    };
  }
  const { LegacySseUpstream } = await import('../../bridge/upstream/sse/legacy-sse.ts');
  return (isWanted) => new LegacySseUpstream({ ...http, onWarning: (message) => isWanted() && onWarning(message) });
}

/** The certificates of the file, in addition to the default ones. */
async function readCertificates(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ExposeError('usage', `cannot read the certificates ${file}: ${messageOf(cause)}`, { cause });
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ExposeError('usage', `${file} contains no certificate`, {
      hints: ['--upstream-ca takes a file in PEM format, as in "-----BEGIN CERTIFICATE-----"'],
    });
  }
  // Imported here, since node:tls takes 4 ms to load and 370 KB.
  const { rootCertificates } = await import('node:tls');
  return [...rootCertificates, text].join('\n');
}
