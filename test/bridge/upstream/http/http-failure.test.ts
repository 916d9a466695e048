import { describe, expect, test } from 'vitest';
import { failureWords } from '../../../../src/bridge/upstream/http/http-failure.ts';
import { ExposeError } from '../../../../src/errors.ts';

const withCode = (code: string) => Object.assign(new Error(`${code} 10.0.0.1:80 db.internal`), { code });

describe('why there was no response', () => {
  test.each([
    ['ECONNREFUSED', 'connection refused'],
    ['ENOTFOUND', 'no such host'],
    ['HPE_INVALID_CONSTANT', 'it does not speak HTTP'],
    ['HPE_HEADER_OVERFLOW', 'the head of its answer is too large'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS; is its address http:// instead?'],
    ['EPROTO', 'it does not speak TLS; is its address http:// instead?'],
    ['ESOMETHING', 'ESOMETHING'],
  ])('%s is said without a name or an address', (code, words) => {
    expect(failureWords(withCode(code))).toBe(words);
    // Node tries every address of a name.
    expect(failureWords(new AggregateError([withCode(code), withCode('ETIMEDOUT')]))).toBe(words);
  });

  test('an address that is not called is named to nobody', () => {
    const error = new ExposeError('upstream_url_refused', 'db.internal (10.0.0.1) is refused');
    expect(failureWords(error)).toBe('its name resolves to an address to which mcp-expose sends no requests');
  });

  test('of an unknown error the beginning is shown, without control characters', () => {
    expect(failureWords(new Error('\u001B[31mno\u001B[0m\nway'))).toBe('noway');
    expect(failureWords(new Error('x'.repeat(10_000)))).toBe('x'.repeat(200));
    expect(failureWords(new Error(`${'x'.repeat(199)}😀`))).toBe('x'.repeat(199));
    expect(failureWords('thrown words')).toBe('thrown words');
  });
});
