type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The variables that a server gets by default: the user and the home folder, the paths of programs and temporary files, the
 * language, and the certificates of a company proxy. None of them should contain a secret. Nearly the list of the official
 * SDK's stdio client.
 */
const safePosix: readonly string[] = [
  'HOME LOGNAME PATH SHELL TERM USER LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES TZ TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME',
  'XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME NODE_EXTRA_CA_CERTS SSL_CERT_DIR SSL_CERT_FILE',
].flatMap((line) => line.split(' '));

const safeWindows: readonly string[] = [
  'APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE PROGRAMDATA PROGRAMFILES SYSTEMDRIVE',
  'SYSTEMROOT TEMP TMP USERNAME USERPROFILE NODE_EXTRA_CA_CERTS SSL_CERT_DIR SSL_CERT_FILE',
].flatMap((line) => line.split(' '));

/** The settings of mcp-expose, including the bearer token, are never passed on. */
const ownPrefix = 'MCP_EXPOSE_';

export interface ChildEnvironmentOptions {
  readonly own: Environment;
  /** Pass on everything instead of the safe list. */
  readonly inherit: boolean;
  /** The variables that the user named; they override all others. */
  readonly extra: ReadonlyMap<string, string>;
  readonly platform?: NodeJS.Platform;
}

/**
 * The environment of a child process.
 * It includes `PYTHONUNBUFFERED=1` unless set otherwise: Python buffers its output to a pipe, so that a server would seem not
 * to answer.
 */
export function childEnvironment(options: ChildEnvironmentOptions): Record<string, string> {
  const { own, inherit, extra, platform = process.platform } = options;
  const safe = platform === 'win32' ? safeWindows : safePosix;
  const isSafe = (name: string): boolean => safe.includes(platform === 'win32' ? name.toUpperCase() : name);
  const passed = Object.entries(own).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (inherit ? !entry[0].startsWith(ownPrefix) : isSafe(entry[0])),
  );
  return Object.fromEntries([['PYTHONUNBUFFERED', '1'], ...passed, ...extra]);
}
