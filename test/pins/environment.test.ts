// The variables that a server gets without being asked. A new name here is a decision about somebody's secrets.
import { expect, test } from 'vitest';
import { childEnvironment } from '../../src/platform/process/environment.ts';

const everyName = [
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
  'APPDATA',
  'COMSPEC',
  'HOMEDRIVE',
  'HOMEPATH',
  'LOCALAPPDATA',
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
  'NODE_OPTIONS',
  'NODE_PATH',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'PYTHONPATH',
  'BASH_ENV',
  'SSH_AUTH_SOCK',
  'AWS_SECRET_ACCESS_KEY',
  'GITHUB_TOKEN',
  'OPENAI_API_KEY',
  'NPM_TOKEN',
  'npm_config__authToken',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'DISPLAY',
  'PWD',
  'EDITOR',
  'MCP_EXPOSE_TOKEN',
  'MCP_EXPOSE_RELAY',
];

function passed(platform: NodeJS.Platform): string[] {
  const own = Object.fromEntries(everyName.map((name) => [name, 'x']));
  return Object.keys(childEnvironment({ own, inherit: false, extra: new Map(), platform })).toSorted();
}

test.each(['linux', 'darwin', 'freebsd'] as const)('on %s', (platform) => {
  expect(passed(platform)).toEqual(
    [
      'HOME',
      'LANG',
      'LANGUAGE',
      'LC_ALL',
      'LC_CTYPE',
      'LC_MESSAGES',
      'LOGNAME',
      'NODE_EXTRA_CA_CERTS',
      'PATH',
      'PYTHONUNBUFFERED',
      'SHELL',
      'SSL_CERT_DIR',
      'SSL_CERT_FILE',
      'TERM',
      'TMPDIR',
      'TZ',
      'USER',
      'XDG_CACHE_HOME',
      'XDG_CONFIG_HOME',
      'XDG_DATA_HOME',
      'XDG_RUNTIME_DIR',
      'XDG_STATE_HOME',
    ].toSorted(),
  );
});

test('on Windows', () => {
  expect(passed('win32')).toEqual(
    [
      'APPDATA',
      'COMSPEC',
      'HOMEDRIVE',
      'HOMEPATH',
      'LOCALAPPDATA',
      'NODE_EXTRA_CA_CERTS',
      'PATH',
      'PATHEXT',
      'PROCESSOR_ARCHITECTURE',
      'PROGRAMDATA',
      'PROGRAMFILES',
      'PYTHONUNBUFFERED',
      'SSL_CERT_DIR',
      'SSL_CERT_FILE',
      'SYSTEMDRIVE',
      'SYSTEMROOT',
      'TEMP',
      'TMP',
      'USERNAME',
      'USERPROFILE',
    ].toSorted(),
  );
});

test('our own settings are passed on by nobody, not even with everything else', () => {
  const own = { MCP_EXPOSE_TOKEN: 'x', MCP_EXPOSE_: 'x', MCP_EXPOSE: 'not ours' };
  expect(childEnvironment({ own, inherit: true, extra: new Map() })).toEqual({
    PYTHONUNBUFFERED: '1',
    MCP_EXPOSE: 'not ours',
  });
});
