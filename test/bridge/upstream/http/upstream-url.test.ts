import { describe, expect, test } from 'vitest';
import { checkUpstreamUrl, guardLookup } from '../../../../src/bridge/upstream/http/upstream-url.ts';
import { ExposeError } from '../../../../src/errors.ts';

function refusalOf(url: string, allowPlainHttp = true): ExposeError {
  try {
    checkUpstreamUrl(url, { allowPlainHttp });
  } catch (error) {
    if (error instanceof ExposeError) return error;
    throw error;
  }
  throw new Error(`${url} was not refused`);
}

describe('a URL', () => {
  test.each([
    'https://example.com/mcp',
    'https://example.com:8443/a/b?key=1',
    'http://127.0.0.1:3000/mcp',
    'http://127.1.2.3/mcp',
    'http://localhost:3000/mcp',
    'http://LOCALHOST./mcp',
    'http://api.localhost/mcp',
    'http://[::1]:3000/mcp',
    'http://[::ffff:127.0.0.1]/mcp',
  ])('%s is good', (url) => {
    expect(checkUpstreamUrl(url, { allowPlainHttp: false })).toEqual(new URL(url));
  });

  test('has no fragment', () => {
    expect(checkUpstreamUrl('https://example.com/mcp?a=1#top', { allowPlainHttp: false }).href).toBe(
      'https://example.com/mcp?a=1',
    );
  });

  test.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'ws://127.0.0.1/',
    'example.com/mcp',
    '',
    'http://',
    'unix:/x',
  ])('%s is no http(s) URL', (url) => {
    expect(refusalOf(url)).toMatchObject({
      code: 'upstream_url_refused',
      message: expect.stringMatching(/ is not an http\(s\) URL$/),
    });
  });

  test('with credentials is refused, and they are not shown', () => {
    for (const url of ['https://user:hunter2@example.com/', 'https://hunter2@example.com/', 'ftp://u:hunter2@x/']) {
      const error = refusalOf(url);
      expect(error.code).toBe('upstream_url_refused');
      expect(`${error.message} ${error.hints.join(' ')}`).not.toContain('hunter2');
    }
    expect(refusalOf('https://user:hunter2@example.com/').hints.join(' ')).toContain('--upstream-header');
    expect(refusalOf('ftp://x/?key=hunter2#hunter2').message).not.toContain('hunter2');
  });

  test.each([
    'http://example.com/mcp',
    'http://192.168.1.5/mcp',
    'http://0.0.0.0/mcp',
    'http://localhost.example.com/',
    'http://mylocalhost/',
    'http://[::ffff:10.0.0.1]/',
  ])('%s needs leave to be plain', (url) => {
    const error = refusalOf(url, false);
    expect(error.message).toMatch(/ is not encrypted on its way to another machine$/);
    expect(error.hints.join()).toContain('--allow-plain-http');
    expect(checkUpstreamUrl(url, { allowPlainHttp: true }).href).toBe(new URL(url).href);
  });
});

describe('the address of credentials of a cloud', () => {
  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'https://169.254.170.2/',
    'http://169.254.0.1/',
    'http://0xa9fea9fe/',
    'http://2852039166/',
    'http://0251.0376.0251.0376/',
    'http://0xa9.0xfe.0xa9.0xfe/',
    'http://169.254.43518/',
    'http://169.254.169.254./',
    'http://１６９.254.169.254/',
    'http://[::ffff:169.254.169.254]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[::169.254.169.254]/',
    'http://[::ffff:0:169.254.169.254]/',
    'http://[64:ff9b::169.254.169.254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[0:0:0:0:0:ffff:a9fe:a9fe]/',
    'http://[2002:a9fe:a9fe::1]/',
    'http://[64:ff9b:1:6464:64:c800::]/',
    'http://[fe80::1]/',
    'http://[febf:ffff::1]/',
    'http://[fd00:ec2::254]/',
    'http://[fd00:0ec2:0:0:0:0:0:0254]/',
    'http://[fd20:ce::254]/',
    'http://100.100.100.200/',
    'http://[::ffff:100.100.100.200]/',
    'http://168.63.129.16/',
    'http://192.0.0.192/',
    'http://metadata.google.internal/',
    'http://METADATA.google.internal./',
    'http://metadata/',
    'http://instance-data/',
  ])('%s is never called', (url) => {
    expect(refusalOf(url)).toMatchObject({
      code: 'upstream_url_refused',
      message: expect.stringContaining('is a cloud metadata address'),
    });
  });

  test.each([
    'https://169.253.255.255/',
    'https://169.255.0.0/',
    'https://100.100.100.201/',
    'https://[fec0::1]/',
    'https://[fd00:ec2::253]/',
    'https://metadata.example.com/',
    'https://[2001:db8::a9fe:a9fe]/',
  ])('%s is another one', (url) => {
    expect(checkUpstreamUrl(url, { allowPlainHttp: false }).href).toBe(url);
  });
});

/** What is made of what the resolver says. */
function resolved(name: string, addresses: string[], all = true): Promise<unknown[]> {
  const lookup = guardLookup((_name, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    ),
  );
  return new Promise((resolve) => {
    lookup(name, { all }, (...result) => resolve(result));
  });
}

describe('a name', () => {
  test('passes with the addresses that it has', async () => {
    expect(await resolved('example.com', ['93.184.216.34', '2001:db8::1'])).toEqual([
      null,
      [
        { address: '93.184.216.34', family: 4 },
        { address: '2001:db8::1', family: 6 },
      ],
    ]);
    expect(await resolved('example.com', ['93.184.216.34'], false)).toEqual([null, '93.184.216.34', 4]);
  });

  test.each([
    ['169.254.169.254'],
    ['93.184.216.34', '169.254.169.254'],
    ['::ffff:169.254.169.254'],
    ['::ffff:a9fe:a9fe'],
    ['2002:a9fe:a9fe::'],
    ['fe80::1%eth0'],
    ['fd00:ec2::254'],
  ])('is refused when it resolves to %s', async (...addresses) => {
    const [error] = await resolved('rebind.example', addresses);
    expect(error).toMatchObject({ code: 'upstream_url_refused', message: expect.stringContaining('rebind.example') });
  });

  test('of this machine has to resolve to it', async () => {
    expect(await resolved('localhost', ['127.0.0.1', '::1'])).toMatchObject([null, [{ family: 4 }, { family: 6 }]]);
    // A name with a dot at its end is the same name.
    for (const name of ['app.localhost', 'app.localhost.', 'APP.LocalHost.']) {
      const [error] = await resolved(name, ['10.0.0.1']); // oxlint-disable-line no-await-in-loop
      expect(error).toMatchObject({ message: 'app.localhost does not resolve to this machine' });
    }
    expect(await resolved('localhost.', ['127.0.0.1'])).toMatchObject([null, [{ family: 4 }]]);
  });

  test('that does not exist is the resolver’s own error', async () => {
    const lookup = guardLookup((_name, _options, done) =>
      done(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), []),
    );
    const error = await new Promise((resolve) => {
      lookup('nowhere.invalid', {}, resolve);
    });
    expect(error).toMatchObject({ code: 'ENOTFOUND' });
  });
});
