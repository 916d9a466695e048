import { describe, expect, test } from 'vitest';
import { redactCommand, redactUrl, redactWords, shellQuote } from '../../../src/platform/text/redact.ts';
import { parseCommandLine } from '../../../src/bridge/upstream/stdio/command-line.ts';

describe('a URL loses what may be a secret', () => {
  test.each([
    ['https://mcp.example/mcp', 'https://mcp.example/mcp'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['https://host.example/@scope/server/mcp', 'https://host.example/@scope/server/mcp'],
    ['https://me:sesame@host/mcp', 'https://…@host/mcp'],
    ['https://sesame@host/mcp', 'https://…@host/mcp'],
    ['https://host/mcp?key=sesame#sesame', 'https://host/mcp?…'],
    ['https://host/mcp#sesame', 'https://host/mcp?…'],
    ['https://host/s/NjFhYzE2Mj0sesameQ4YWIt/mcp', 'https://host/s/…/mcp'],
    ['https://host/3f2b1c9a-0d4e-4b6f-8a7c-5e1d2c3b4a59', 'https://host/…'],
    ['me:sesame@host/mcp', '…@host/mcp'],
    ['https://me:ses/ame@host:1/mcp', 'https://…@host:1/mcp'],
    ['https://me:ses?ame#x@host:1/mcp', 'https://…@host:1/mcp'],
    ['relay.example', 'relay.example'],
  ])('%s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });
});

describe('the words of a command lose what may be a secret', () => {
  test.each([
    ['npx -y @scope/server@1.0 . --port 3000 --name my-server', undefined],
    ['docker run -i --rm -e KEY=sesame mcp/server', 'docker run -i --rm -e KEY=… mcp/server'],
    ['KEY=sesame node server.js', 'KEY=… node server.js'],
    ['KEY="open sesame" node server.js', 'KEY=… node server.js'],
    ['server --api-key sesame --verbose', 'server --api-key … --verbose'],
    ['server --api-key=sesame --path=/x', 'server --api-key=… --path=/x'],
    ["server --header 'X-Key: sesame'", "server --header 'X-Key: …'"],
    ['server -H "Authorization: Bearer sesame"', "server -H 'Authorization: …'"],
    ['server "Authorization: Bearer sesame"', "server 'Authorization: …'"],
    ['server postgres://me:sesame@db/x?password=sesame', "server 'postgres://…@db/x?…'"],
    ['server sk-sesame123 ghp_sesame eyJsesame.x', 'server … … …'],
    ['server mcpx_sesame mcpa_sesame mcpr_sesame', 'server … … …'],
    ['server --header Authorization: Bearer sesame', 'server --header Authorization:… … …'],
    ['server --user me:sesame -u me', 'server --user me:… -u me'],
    ['server --no-auth open', undefined],
    ['server --password --verbose', undefined],
    [`server "it's" 'two words' a\\ b`, undefined],
  ])('%s', (command, shown = command) => {
    expect(redactCommand(command)).toBe(shown);
  });

  test('also where they are apart', () => {
    expect(redactWords(['x', '--token', 'sesame', 'KEY=sesame', 'two words'])).toEqual([
      'x',
      '--token',
      '…',
      'KEY=…',
      'two words',
    ]);
  });

  test('in linear time', () => {
    const before = performance.now();
    for (const piece of ['"', "'", '\\', 'a=', '-', 'A1a', '"\\']) {
      redactCommand(piece.repeat(100_000));
      redactUrl(piece.repeat(100_000));
    }
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

describe('a word is quoted so that a shell reads it as it is', () => {
  test.each([
    ['@scope/server@1.0', '@scope/server@1.0'],
    ['two words', "'two words'"],
    ["it's", String.raw`'it'\''s'`],
    ['', "''"],
    ['$HOME', "'$HOME'"],
    ['a;b', "'a;b'"],
    ['https://x.example/?a=b&c', "'https://x.example/?a=b&c'"],
  ])('%s', (word, quoted) => {
    expect(shellQuote(word)).toBe(quoted);
    expect(parseCommandLine(`x ${quoted}`)).toEqual({ kind: 'argv', file: 'x', args: [word] });
  });
});
