import { describe, expect, test } from 'vitest';
import { readNgrokLine, readTunnels } from '../../../../src/tunnel/providers/ngrok/log.ts';

const port = 3000;

test('where its API listens', () => {
  const line =
    '{"addr":"127.0.0.1:4040","allow_hosts":[],"lvl":"info","msg":"starting web service","obj":"web","t":"2026-09-14T08:33:25-0500"}';
  expect(readNgrokLine(line, port)).toEqual({ kind: 'web service', address: '127.0.0.1:4040' });
});

test.each([
  [
    '{"addr":"http://127.0.0.1:3000","lvl":"info","msg":"started tunnel","name":"command_line","url":"https://a.ngrok-free.app"}',
    'https://a.ngrok-free.app',
  ],
  [
    '{"addr":"http://localhost:3000","lvl":"info","msg":"started tunnel","name":"x","url":"https://my.example/"}',
    'https://my.example',
  ],
])('the URL of what leads to us: %s', (line, url) => {
  expect(readNgrokLine(line, port)).toEqual({ kind: 'urls', urls: [url] });
});

test.each([
  '{"addr":"http://127.0.0.1:3001","lvl":"info","msg":"started tunnel","url":"https://other.ngrok.app"}',
  '{"addr":"http://127.0.0.1:30001","lvl":"info","msg":"started tunnel","url":"https://other.ngrok.app"}',
  '{"addr":"http://127.0.0.1:3000","lvl":"info","msg":"started tunnel","url":"http://a.ngrok.io"}',
  '{"lvl":"warn","msg":"failed to check for update","err":"Post \\"https://update.equinox.io/check\\": timeout"}',
  '{"lvl":"eror","msg":"unable to check host info","err":"exec: \\"ioreg\\" not found"}',
  '{"lvl":"info","msg":"open config file","err":"<nil>","path":"/home/a/.config/ngrok/ngrok.yml"}',
  'ERROR:  https://ngrok.com/docs/errors/err_ngrok_334',
  '[1,2]',
  '{"lvl":7}',
])('nothing of note: %s', (line) => {
  expect(readNgrokLine(line, port)).toBeUndefined();
});

test('a session that is lost and comes back', () => {
  const lost = '{"lvl":"eror","msg":"session closed, starting reconnect loop","err":"read EOF from remote peer"}';
  expect(readNgrokLine(lost, port)).toEqual({ kind: 'disconnected', reason: 'read EOF from remote peer' });
  expect(readNgrokLine('{"lvl":"info","msg":"client session established"}', port)).toEqual({ kind: 'connected' });
});

function refusal(number: number, text: string, level = 'eror'): unknown {
  const err = `${text}\r\n\r\nERR_NGROK_${number}\r\n`;
  return readNgrokLine(JSON.stringify({ lvl: level, msg: 'failed to reconnect session', err }), port);
}

describe('errors of the service', () => {
  test.each([
    [4018, 'tunnel_rejected', 'it wants an account and its token'],
    [105, 'tunnel_rejected', 'the token does not look like one of ngrok'],
    [107, 'tunnel_rejected', 'the token is not valid any more'],
    [320, 'tunnel_rejected', 'the domain belongs to another account'],
    [108, 'tunnel_unavailable', 'the account has as many agents running as it may have'],
    [334, 'tunnel_unavailable', 'another agent serves this URL already'],
  ])('%i', (number, code, says) => {
    expect(refusal(number, 'some words')).toMatchObject({
      kind: 'failure',
      error: { code, message: `ngrok says: ${says} (ERR_NGROK_${number})`, hints: [expect.any(String)] },
    });
  });

  test.each([3200, 8012, 6024, 702, 717, 734])('%i concerns single requests, unless it ends the program', (number) => {
    expect(refusal(number, 'some words')).toMatchObject({
      kind: 'warning',
      message: expect.stringContaining(`_${number})`),
    });
    expect(refusal(number, 'some words', 'crit')).toMatchObject({
      kind: 'failure',
      error: { code: 'tunnel_unavailable' },
    });
  });

  test('one that is not known, in its own words and with its page', () => {
    expect(refusal(390, 'Something is off.\nMore of that.')).toMatchObject({
      kind: 'failure',
      error: {
        code: 'tunnel_unavailable',
        message: 'ngrok says: Something is off. (ERR_NGROK_390)',
        hints: ['see https://ngrok.com/docs/errors/err_ngrok_390'],
      },
    });
  });

  test('a token that stands in it is not shown', () => {
    const text = 'authentication failed: no proper authtoken. Your authtoken: 2abcSECRET';
    expect(JSON.stringify(refusal(999, text))).not.toContain('SECRET');
  });

  test('the last words of a program that gives up without a number', () => {
    const line = '{"lvl":"crit","msg":"command failed","err":"unable to parse address"}';
    expect(readNgrokLine(line, port)).toMatchObject({
      kind: 'failure',
      error: { code: 'tunnel_unavailable', message: 'ngrok says: unable to parse address' },
    });
  });
});

const tunnel = (url: string, addr: string) => ({ public_url: url, config: { addr, inspect: true } });

test('the API tells the URL of what leads to us, over https', () => {
  const tunnels = [
    tunnel('https://other.ngrok.app', 'http://127.0.0.1:80'),
    tunnel('http://a.ngrok.app', 'http://127.0.0.1:3000'),
    tunnel('https://a.ngrok.app', 'http://127.0.0.1:3000'),
  ];
  expect(readTunnels({ tunnels }, port)).toEqual({ kind: 'urls', urls: ['https://a.ngrok.app'] });
  expect(readTunnels({ tunnels: tunnels.slice(0, 2) }, port)).toBeUndefined();
  expect(readTunnels({ tunnels: [null, 'x', {}] }, port)).toBeUndefined();
  expect(readTunnels({}, port)).toBeUndefined();
});
