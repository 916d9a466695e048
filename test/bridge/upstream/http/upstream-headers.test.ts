import { expect, test } from 'vitest';
import { checkUpstreamHeaders } from '../../../../src/bridge/upstream/http/upstream-headers.ts';
import { ExposeError } from '../../../../src/errors.ts';

function refusalOf(name: string, value: string): ExposeError {
  try {
    checkUpstreamHeaders(new Map([[name, value]]));
  } catch (error) {
    if (error instanceof ExposeError) return error;
    throw error;
  }
  throw new Error(`${name} was not refused`);
}

test('credentials, cookies and names of one’s own are good', () => {
  const headers = new Map([
    ['Authorization', 'Bearer x'],
    ['Cookie', 'a=b'],
    ['X-Api-Key', '1'],
    ['User-Agent', 'mine'],
  ]);
  expect(checkUpstreamHeaders(headers)).toBe(headers);
});

test.each([
  'Host',
  'content-length',
  'Transfer-Encoding',
  'CONNECTION',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
  'Last-Event-ID',
  'Accept',
  'Accept-Encoding',
  'Content-Type',
  'Upgrade',
  'TE',
  'Expect',
  'Keep-Alive',
  'Trailer',
])('%s is ours', (name) => {
  expect(refusalOf(name, 'x')).toMatchObject({
    code: 'usage',
    message: `the header ${name} cannot be given with --upstream-header: mcp-expose sets it`,
  });
});

test.each([
  ['', 'is empty'],
  ['a b', 'has a character that no name can have, at position 2'],
  ['a:b', 'has a character that no name can have, at position 2'],
  ['ä', 'has a character that no name can have, at position 1'],
  ['sesame\r\nb', 'has a character that no name can have, at position 7'],
])('%j is no name, and is not shown: it may be a secret in the wrong place', (name, why) => {
  expect(refusalOf(name, 'x').message).toBe(`the name of a header (--upstream-header) ${why}`);
});

test.each(['a\r\nX-Evil: 1', 'a\0', '€'])('%j is no value, and is not shown', (value) => {
  const { message } = refusalOf('X-Key', `hunter2${value}`);
  expect(message).toBe('the value for the header X-Key has a character that no header can have');
});
