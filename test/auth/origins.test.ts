import { describe, expect, test } from 'vitest';
import { createOriginMatcher } from '../../src/auth/origins.ts';
import { ExposeError } from '../../src/errors.ts';

describe('an origin that is allowed', () => {
  test.each([
    ['https://app.example', 'https://app.example'],
    ['https://app.example/', 'https://app.example'],
    ['HTTPS://App.Example', 'https://app.example'],
    ['https://app.example:443', 'https://app.example'],
    ['http://app.example:80/', 'http://app.example'],
    ['http://app.example:8080', 'http://app.example:8080'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['http://tauri.localhost', 'http://tauri.localhost'],
    ['tauri://localhost', 'tauri://localhost'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['app://obsidian.md', 'app://obsidian.md'],
    ['app://.', 'app://.'],
    ['chrome-extension://abcdefghijklmnop/', 'chrome-extension://abcdefghijklmnop'],
    ['moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc', 'moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc'],
    ['safari-web-extension://9B5F1C8A', 'safari-web-extension://9B5F1C8A'],
    ['vscode-webview://1abc', 'vscode-webview://1abc'],
    ['vscode-webview://*', 'vscode-webview://1k4u-2b'],
    ['https://*.app.example', 'https://a-1.app.example'],
    ['https://*.app.example:443', 'https://x.app.example'],
    ['https://*.app.example:8443', 'https://x.app.example:8443'],
    ['https://*.example', 'https://app.example'],
    ['file://', 'file://'],
    ['file:///', 'file://'],
  ])('as %s is %s', (value, origin) => {
    expect(createOriginMatcher(['https://other.example', value])(origin)).toBe(true);
    expect(createOriginMatcher([])(origin)).toBe(false);
  });

  test.each([
    ['https://app.example', 'http://app.example'],
    ['https://app.example', 'https://app.example:8443'],
    ['https://app.example', 'https://x.app.example'],
    ['https://app.example', 'https://APP.example'],
    ['https://app.example', 'https://app.example.evil.example'],
    ['https://*.app.example', 'https://app.example'],
    ['https://*.app.example', 'https://.app.example'],
    ['https://*.app.example', 'https://a.b.app.example'],
    ['https://*.app.example', 'https://evil.example/.app.example'],
    ['https://*.app.example', 'https://evil.example:1.app.example'],
    ['https://*.app.example', 'https://u@x.app.example'],
    ['https://*.app.example', 'http://x.app.example'],
    ['https://*.app.example', 'https://x.app.example:8443'],
    ['https://*.app.example', 'https://x.app-example'],
    ['https://*.app.example', 'https://xapp.example'],
    ['tauri://localhost', 'https://localhost.example'],
    ['vscode-webview://*', 'vscode-webview://'],
    ['vscode-webview://*', 'vscode-webview://a/b'],
    ['vscode-webview://*', 'chrome-extension://a'],
    ['file://', 'null'],
    ['file://', 'file://evil'],
  ])('as %s is not %s', (value, origin) => {
    expect(createOriginMatcher([value])(origin)).toBe(false);
  });
});

describe('what no page sends, or too many would, is refused with a reason:', () => {
  const not = 'it is not an origin';
  const wildcard = '* can only stand for the first label of a host name, or for the id of an app';
  test.each([
    ['*', 'any web page could use the server'],
    ['null', 'any web page can have the origin null, in a sandboxed frame'],
    ['', not],
    ['app.example', not],
    ['//app.example', not],
    ['https://', not],
    ['https://app.example/path', not],
    ['https://app.example?x', not],
    ['https://app.example#x', not],
    ['https://user@app.example', not],
    ['https://app.example:99999', not],
    ['https://a b', not],
    ['https://a.example,https://b.example', not],
    ['wss://app.example', not],
    ['mailto:me@app.example', not],
    ['file://host', not],
    ['tauri://', not],
    ['tauri://a b', not],
    ['https://*', wildcard],
    ['https://*.', wildcard],
    ['*://app.example', not],
    ['https://a.*.example', wildcard],
    ['https://*.*.example', wildcard],
    ['https://x*.example', wildcard],
    ['http://localhost:*', wildcard],
    ['chrome-extension://a*', wildcard],
  ])('%j', (value, why) => {
    let thrown: unknown;
    try {
      createOriginMatcher(['https://good.example', value]);
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof ExposeError)) throw new Error('nothing was refused');
    expect([thrown.code, thrown.message]).toEqual(['usage', `--allow-origin ${JSON.stringify(value)}: ${why}`]);
    expect(thrown.hints).toHaveLength(1);
  });
});
