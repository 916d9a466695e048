import { describe, expect, test } from 'vitest';
import { childEnvironment } from '../../../src/platform/process/environment.ts';

const none: ReadonlyMap<string, string> = new Map();
const own = {
  PATH: '/usr/bin',
  HOME: '/home/me',
  AWS_SECRET_ACCESS_KEY: 'secret',
  GITHUB_TOKEN: 'secret',
  NODE_OPTIONS: '--inspect',
  LD_PRELOAD: 'x.so',
  MCP_EXPOSE_TOKEN: 'our secret',
  MCP_EXPOSE_RELAY: 'https://relay.example',
  EMPTY: '',
  GONE: undefined,
};

const environment = (options: { inherit?: boolean; extra?: ReadonlyMap<string, string> } = {}): object =>
  childEnvironment({ own, inherit: false, extra: none, platform: 'linux', ...options });

describe('on POSIX', () => {
  test('a server gets the safe few variables only', () => {
    expect(environment()).toEqual({ PYTHONUNBUFFERED: '1', PATH: '/usr/bin', HOME: '/home/me' });
  });

  test('with inheriting it gets everything but our own settings', () => {
    expect(environment({ inherit: true })).toEqual({
      PYTHONUNBUFFERED: '1',
      PATH: '/usr/bin',
      HOME: '/home/me',
      AWS_SECRET_ACCESS_KEY: 'secret',
      GITHUB_TOKEN: 'secret',
      NODE_OPTIONS: '--inspect',
      LD_PRELOAD: 'x.so',
      EMPTY: '',
    });
  });

  test('what was asked for by name wins, also against our own settings', () => {
    const extra = new Map([
      ['PATH', '/opt'],
      ['API_KEY', 'k'],
      ['PYTHONUNBUFFERED', ''],
      ['MCP_EXPOSE_X', 'asked for'],
    ]);
    expect(environment({ extra })).toEqual({
      PYTHONUNBUFFERED: '',
      PATH: '/opt',
      HOME: '/home/me',
      API_KEY: 'k',
      MCP_EXPOSE_X: 'asked for',
    });
  });

  test('Python holds nothing back, unless it was told to', () => {
    const withPython = { ...own, PYTHONUNBUFFERED: '0' };
    expect(childEnvironment({ own: withPython, inherit: true, extra: none })).toMatchObject({ PYTHONUNBUFFERED: '0' });
    expect(childEnvironment({ own: withPython, inherit: false, extra: none })).toMatchObject({ PYTHONUNBUFFERED: '1' });
  });

  test('names count exactly as they are written', () => {
    expect(
      childEnvironment({ own: { path: '/x', Home: '/y' }, inherit: false, extra: none, platform: 'linux' }),
    ).toEqual({
      PYTHONUNBUFFERED: '1',
    });
  });

  test('hostile names are names like any other', () => {
    const extra = new Map([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    const result = environment({ extra });
    expect(Object.entries(result)).toContainEqual(['__proto__', 'x']);
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
  });
});

describe('on Windows', () => {
  test('names count in any case, and the list is another', () => {
    const windows = {
      Path: 'C:\\bin',
      SystemRoot: 'C:\\Windows',
      USERPROFILE: 'C:\\me',
      HOME: '/home/me',
      ApiKey: 'k',
    };
    expect(childEnvironment({ own: windows, inherit: false, extra: none, platform: 'win32' })).toEqual({
      PYTHONUNBUFFERED: '1',
      Path: 'C:\\bin',
      SystemRoot: 'C:\\Windows',
      USERPROFILE: 'C:\\me',
    });
  });
});
