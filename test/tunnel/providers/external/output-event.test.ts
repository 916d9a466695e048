import { expect, test } from 'vitest';
import { baseUrl, urlWithin } from '../../../../src/tunnel/providers/external/output-event.ts';

test.each([
  ['https://x.example', 'https://x.example'],
  ['https://x.example/', 'https://x.example'],
  ['HTTPS://X.example:8443/', 'https://x.example:8443'],
  ['http://127.0.0.1:80', 'http://127.0.0.1'],
  ['https://x.example/path', undefined],
  ['https://x.example/?key=1', undefined],
  ['https://user@x.example', undefined],
  ['https://:secret@x.example', undefined],
  ['ssh://x.example', undefined],
  ['x.example', undefined],
  ['', undefined],
])('the base URL in %j', (text, url) => {
  expect(baseUrl(text)).toBe(url);
});

test.each([
  ['Forwarding HTTP traffic from https://a.serveo.net', 'https://a.serveo.net'],
  ['up: https://a.b.serveo.net/.', 'https://a.b.serveo.net'],
  ['(https://serveo.net)', 'https://serveo.net'],
  ['|https://a.serveo.net|', 'https://a.serveo.net'],
  ['"https://a.serveo.net",', 'https://a.serveo.net'],
  ['see https://docs.example/ and https://a.serveo.net', 'https://a.serveo.net'],
  ['https://a.serveo.net:8443, https://b.serveo.net', 'https://a.serveo.net:8443'],
  ['https://evilserveo.net', undefined],
  ['https://serveo.net.evil.example', undefined],
  ['https://a.serveo.net/dashboard', undefined],
  ['https://evil.example/https://a.serveo.net', undefined],
  ['https://evil.example?https://a.serveo.net', undefined],
  ['a.serveo.net', undefined],
])('the URL within %j', (line, url) => {
  expect(urlWithin(line, ['serveo.net', 'serveousercontent.com'])).toBe(url);
});
