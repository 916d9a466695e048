import { expect, test } from 'vitest';
import { isBaseUrl } from '../../../../src/tunnel/relay/protocol/parse-message.ts';

test.each([
  'https://files.relay.example',
  'http://127.0.0.1:8080/files',
  'https://[2001:db8::1]:8443/a/b-c_d~e',
  'https://xn--bcher-kva.example/%C3%A4',
])('%s is a base URL', (url) => {
  expect(isBaseUrl(url)).toBe(true);
});

test.each([
  'javascript:alert(1)',
  'ftp://a.example',
  'https://',
  'https:///a.example',
  'https://a.example/',
  'https://a.example//b',
  'https://user:pw@a.example',
  'https://@a.example',
  'https://a.example?x',
  'https://a.example?',
  'https://a.example#',
  'https://a.example:99999',
  'https://a.example\\b',
  'https://a.example\u001b[2J',
  'https://a.example;reboot',
  'https://a.example/$(reboot)',
  'https://a.example/`reboot`',
  'https://a.example/\'"',
  'https://a.example\n',
])('%j is none', (url) => {
  expect(isBaseUrl(url)).toBe(false);
});
