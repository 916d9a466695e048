import type { EventEmitter } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { openFilesHint } from '../../../src/errors.ts';
import { listenError, watchOpenFiles } from '../../../src/platform/net/listening.ts';

const systemError = (code: string): NodeJS.ErrnoException => Object.assign(new Error(`listen ${code}`), { code });

describe('why nobody can listen is said with the address and what to do', () => {
  const target = { host: '192.0.2.1', port: 80, portOption: '--tunnel-port' };
  test.each([
    ['EADDRINUSE', 'address_in_use', 'cannot listen on 192.0.2.1:80: the port is in use', /--tunnel-port 0/],
    [
      'EADDRNOTAVAIL',
      'address_unavailable',
      'cannot listen on 192.0.2.1:80: this machine does not have that address',
      /--host/,
    ],
    ['EACCES', 'address_unavailable', 'cannot listen on 192.0.2.1:80: that port needs privileges', /--tunnel-port/],
    ['EMFILE', 'too_many_open_files', 'cannot listen on 192.0.2.1:80: too many open files', /ulimit -n/],
    ['ENFILE', 'too_many_open_files', 'cannot listen on 192.0.2.1:80: too many open files', /ulimit -n/],
    ['EBOGUS', 'address_unavailable', 'cannot listen on 192.0.2.1:80: listen EBOGUS', /--host/],
  ])('%s', (code, expected, message, hint) => {
    const error = listenError(target, systemError(code));
    expect([error.code, error.message]).toEqual([expected, message]);
    expect(error.hints).toEqual([expect.stringMatching(hint)]);
  });

  test('a port that the system would have chosen is not shown', () => {
    const { message } = listenError({ who: 'the relay', host: '::1', port: 0, portOption: '--port' }, systemError('X'));
    expect(message).toBe('the relay cannot listen on [::1]: listen X');
  });
});

test('an error of a connection ends nothing, and that there are too many files is said once', () => {
  const warnings: string[] = [];
  const server = createServer();
  watchOpenFiles(server, (message) => warnings.push(message));
  const emitter: EventEmitter = server;
  for (let at = 0; at < 3; at++) emitter.emit('error', systemError('EMFILE'));
  emitter.emit('error', systemError('ECONNABORTED'));
  expect(warnings).toEqual([
    `too many open files: further connections are refused; ${openFilesHint}`,
    'a connection was not accepted: listen ECONNABORTED',
  ]);
});
