type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The variables that a server gets without being asked: who and where the user is, how to find programs and a place for
 * temporary files, the language, and the certificates of the company's proxy. None of them is meant to hold a secret.
 * Much the same list as the official SDK's stdio client uses.
 */
const safePosix = [
  'HOME',
  'LOGNAME',
  'PATH',
  'SHELL',
  'TERM',
  'USER',
  'LANG',
  'LANGUAGE',
  'LC_ALL',
  'LC_CTYPE',
  'LC_MESSAGES',
  'TZ',
  'TMPDIR',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_RUNTIME_DIR',
  'XDG_STATE_HOME',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
];

const safeWindows = [
  'APPDATA',
  'COMSPEC',
  'HOMEDRIVE',
  'HOMEPATH',
  'LOCALAPPDATA',
  'PATH',
  'PATHEXT',
  'PROCESSOR_ARCHITECTURE',
  'PROGRAMDATA',
  'PROGRAMFILES',
  'SYSTEMDRIVE',
  'SYSTEMROOT',
  'TEMP',
  'TMP',
  'USERNAME',
  'USERPROFILE',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
];

/** Our own settings, the bearer token among them, are nobody else's business. */
const ownPrefix = 'MCP_EXPOSE_';

export interface ChildEnvironmentOptions {
  /** Our own environment. */
  readonly own: Environment;
  /** Pass on everything instead of the safe list. */
  readonly inherit: boolean;
  /** What the user asked for by name; wins over everything. */
  readonly extra: ReadonlyMap<string, string>;
  readonly platform?: NodeJS.Platform;
}

/**
 * The environment of a child process.
 * `PYTHONUNBUFFERED=1` stands in it unless set otherwise: Python holds back its output to a pipe, and a server written
 * in it would seem not to answer.
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
