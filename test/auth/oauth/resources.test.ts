import { describe, expect, test } from 'vitest';
import { createResources } from '../../../src/auth/oauth/resources.ts';

const urls = ['https://share.example/a/mcp', 'https://share.example/b/mcp'];
const resources = createResources('https://share.example', () => urls);

describe('A8 a resource parameter', () => {
  test.each(['https://share.example/b/mcp', 'https://share.example/b/mcp/', 'HTTPS://Share.Example:443/b/mcp'])(
    '%s names an endpoint',
    (requested) => expect(resources.find(requested)).toBe('https://share.example/b/mcp'),
  );

  test.each([undefined, 'https://share.example', 'https://share.example/'])('%s stands for all', (requested) => {
    expect(resources.find(requested)).toBeUndefined();
  });

  test.each([
    'https://share.example/mcp',
    'https://share.example/B/mcp',
    'https://share.example/b/mcp#x',
    'https://share.example/b/mcp?x',
    'https://share.example/b/mcp//',
    'http://share.example/b/mcp',
    'https://share.example:8443/b/mcp',
    'https://share.example.evil.example/b/mcp',
    'https://evil.example/b/mcp',
    'share.example/b/mcp',
    '/b/mcp',
    `https://share.example${'/'.repeat(60_000)}x`,
  ])('%.60s is foreign', (requested) => expect(resources.find(requested)).toBe(false));
});

test('endpoints come and go', () => {
  const own = [...urls];
  const changing = createResources('https://share.example/base', () => own);
  expect(changing.first).toBe('https://share.example/a/mcp');
  own.splice(0, 2, 'https://share.example/base/c/mcp');
  expect(changing.at('/c/mcp')).toBe('https://share.example/base/c/mcp');
  expect(changing.at('/a/mcp')).toBeUndefined();
  own.pop();
  expect(changing.first).toBeUndefined();
});
