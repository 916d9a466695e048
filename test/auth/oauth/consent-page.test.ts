import { describe, expect, test } from 'vitest';
import { resource, share, textOf } from './sharing.ts';

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const digits = colour.length === 4 ? colour.replaceAll(/(?<=#\w*)\w/g, '$&$&') : colour;
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(digits.slice(at, at + 2), 16) / 255;
    return value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

describe('the consent page', () => {
  test('A12 shows who asks, for what, and where the browser goes; the owner is told', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register());
    expect(response.status).toBe(200);
    expect(textOf(response.body)).toContain('Allow Some App to use server-filesystem?');
    expect(textOf(response.body)).toContain('self-declared');
    expect(response.body).toContain('<dd class="host">app.example</dd>');
    expect(sharing.events).toEqual([
      {
        kind: 'access_requested',
        request: {
          clientName: 'Some App',
          publisher: undefined,
          redirectHost: 'app.example',
          scope: 'mcp',
          resource,
          address: '198.51.100.7',
        },
      },
    ]);
  });

  test.each([
    ['http://localhost/callback', 'http://localhost:4711/callback', 'localhost:4711', 'computer of this browser'],
    ['cursor://anysphere.cursor-mcp/cb', 'cursor://anysphere.cursor-mcp/cb', 'cursor://anysphere', 'opens an app'],
  ])('A12 warns of %s', async (registered, redirectUri, host, warning) => {
    const sharing = share();
    const clientId = await sharing.register({ redirect_uris: [registered] });
    const { response } = await sharing.open(clientId, { redirect_uri: redirectUri });
    expect(textOf(response.body)).toContain(host);
    expect(textOf(response.body)).toContain(warning);
  });

  test('CVE-2025-6514 and its like: nothing that a client sends becomes markup, or turns the text around', async () => {
    const evil = `"><script>alert(1)</script><b id='x'>\u202Eefas\u0000\u001B[2J`;
    const sharing = share({ sharedName: () => `<i>files</i> & more` });
    const uri = `https://app.example/cb?"'><script>`;
    const clientId = await sharing.register({ client_name: evil, redirect_uris: [uri] });
    const { response } = await sharing.open(clientId, { redirect_uri: uri, state: evil });
    expect(response.status).toBe(200);
    expect(response.body).not.toMatch(/<script|<b |<i>|\p{Bidi_Control}|[^\P{Cc}\n]/u);
    expect(response.body).toContain('&lt;script&gt;');
    expect(response.body).toContain('to use &lt;i&gt;files&lt;/i&gt; &amp; more?');
  });

  test('a host in another script is shown as browsers resolve it', async () => {
    const sharing = share();
    const uri = 'https://xn--pple-43d.example/callback';
    const { response } = await sharing.open(await sharing.register({ redirect_uris: [uri] }), { redirect_uri: uri });
    expect(response.body).toContain('<dd class="host">xn--pple-43d.example</dd>');
  });

  test('the code has a label and a hint, the choice a legend; Enter allows, Deny needs no code', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register());
    expect(response.body).toContain('<html lang="en">');
    expect(response.body).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(response.body).toMatch(
      /<label for="code">Pairing code<\/label>\s*<input type="text" id="code" name="code" required/,
    );
    expect(response.body).toMatch(/aria-describedby="hint">\s*<p id="hint">/);
    expect(response.body).toMatch(/<fieldset><legend>What it may do<\/legend>\s*<label><input type="radio"/);
    const buttons = [...response.body.matchAll(/<button[^>]*value="(\w+)"( formnovalidate)?/g)].map((match) =>
      match.slice(1),
    );
    expect(buttons).toEqual([
      ['approve', undefined],
      ['deny', ' formnovalidate'],
    ]);
  });

  test('every text has a contrast of at least 4.5 to its background, light and dark (WCAG 2.2 §1.4.3)', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register());
    const schemes = [...response.body.matchAll(/:root\{([^}]*)\}/g)].map(([, declarations = '']) =>
      Object.fromEntries([...declarations.matchAll(/--([\w-]+):(#\w+)/g)].map(([, name, colour]) => [name, colour])),
    );
    expect(schemes).toHaveLength(2);
    for (const colours of schemes) {
      for (const [text, back] of [
        ['text', 'back'],
        ['muted', 'back'],
        ['error', 'back'],
        ['accent', 'back'],
        ['on-accent', 'accent'],
        ['text', 'note'],
      ] as const) {
        expect(contrast(colours[text] ?? '', colours[back] ?? ''), `${text} on ${back}`).toBeGreaterThanOrEqual(4.5);
      }
      expect(contrast(colours['edge'] ?? '', colours['back'] ?? '')).toBeGreaterThanOrEqual(3);
    }
  });

  test('a client that asks for reading only is not offered more', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register(), { scope: 'mcp:read' });
    expect(textOf(response.body)).toContain('It asks for: Read only');
    expect(response.body).not.toContain('name="scope"');
  });

  test('A13 cannot be framed, loads nothing, runs nothing, and is not stored', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register());
    const nonce = /<style nonce="([^"]+)"/.exec(response.body)?.[1];
    expect(response.headers).toMatchObject({
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'`,
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
    });
    expect(response.body).not.toMatch(/<script|\son\w+=|https?:\/\/(?!share\.example)/);
    expect(response.headers['access-control-allow-origin']).toBeUndefined();
  });

  test.each([
    ['https://share.example', '__Host-mcp-expose-consent', 'Path=/; HttpOnly; SameSite=Lax; Secure'],
    ['https://relay.example/name', '__Secure-mcp-expose-consent', 'Path=/name; HttpOnly; SameSite=Lax; Secure'],
    ['http://127.0.0.1:7801', 'mcp-expose-consent', 'Path=/; HttpOnly; SameSite=Lax'],
  ])('A13 the cookie at %s', async (own, name, attributes) => {
    const sharing = share({ issuer: own, resources: () => [`${own}/mcp`] });
    const { response } = await sharing.open(await sharing.register(), { resource: `${own}/mcp` });
    const [pair = '', ...rest] = (response.headers['set-cookie'] ?? '').split('; ');
    expect(pair).toMatch(new RegExp(`^${name}=[\\w-]{43}$`));
    expect(rest.join('; ')).toBe(attributes);
  });

  test('the owner is not flooded by strangers who open it', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    for (let at = 0; at < 10_000; at += 1) await sharing.open(clientId); // oxlint-disable-line no-await-in-loop
    expect(sharing.events).toHaveLength(20);
    // Nor is the one page driven out that matters.
    expect(await sharing.authorize(clientId)).not.toBe('');
  });
});
