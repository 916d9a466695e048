import { describe, expect, test } from 'vitest';
import { recoverResponseId } from '../../src/mcp/recover-response-id.ts';
import type { RequestId } from '../../src/mcp/json-rpc.ts';

const filling = 'x'.repeat(5000);

/** As the line splitter keeps it: the first and the last 1024 bytes. */
function idOf(line: string): RequestId | undefined {
  const bytes = Buffer.from(line);
  return recoverResponseId(bytes.subarray(0, 1024), bytes.subarray(-1024));
}

describe('the id is found', () => {
  test.each<[string, string, RequestId]>([
    ['in front, as Python, Go and Rust write', `{"jsonrpc":"2.0","id":7,"result":{"t":"${filling}"}}`, 7],
    ['in front, before the version', `{"id":7,"jsonrpc":"2.0","result":{"t":"${filling}"}}`, 7],
    ['in front, with blanks', `{ "jsonrpc" : "2.0" ,\t"id" : 7 , "result" : {"t":"${filling}"}}`, 7],
    ['of an error', `{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"${filling}"}}`, 7],
    ['at the end, as TypeScript writes', `{"result":{"t":"${filling}"},"jsonrpc":"2.0","id":7}`, 7],
    ['at the end, before the version', `{"result":{"t":"${filling}"},"id":7,"jsonrpc":"2.0"}`, 7],
    ['at the end, behind the version in front', `{"jsonrpc":"2.0","result":{"t":"${filling}"},"id":7}\r`, 7],
    ['a string', `{"jsonrpc":"2.0","id":"7","result":"${filling}"}`, '7'],
    ['a string with escapes', String.raw`{"jsonrpc":"2.0","id":"a\"b\\\u0041","result":"${filling}"}`, 'a"b\\A'],
    ['an empty string', `{"jsonrpc":"2.0","id":"","result":"${filling}"}`, ''],
    ['zero', `{"jsonrpc":"2.0","id":0,"result":"${filling}"}`, 0],
    ['a negative number', `{"jsonrpc":"2.0","id":-12,"result":"${filling}"}`, -12],
    ['a fraction', `{"jsonrpc":"2.0","id":1.25,"result":"${filling}"}`, 1.25],
  ])('%s', (_where, line, id) => {
    expect(idOf(line)).toBe(id);
  });
});

describe('no id is made up', () => {
  test.each([
    ['a request', `{"jsonrpc":"2.0","id":7,"method":"m","params":{"t":"${filling}"}}`],
    ['a notification', `{"jsonrpc":"2.0","method":"m","params":{"t":"${filling}","id":7}}`],
    ['a request with its id at the end', `{"jsonrpc":"2.0","method":"m","params":{"t":"${filling}"},"id":7}`],
    ['an id inside the result', `{"result":{"t":"${filling}","id":7}}`],
    ['an id that is null', `{"jsonrpc":"2.0","id":null,"result":"${filling}"}`],
    ['an id longer than what is kept', `{"jsonrpc":"2.0","id":"${filling}","result":"${filling}"}`],
    ['a line cut off before its end', `{"result":{"t":"${filling}`],
    ['prose', filling],
    ['nothing', ''],
  ])('of %s', (_what, line) => {
    expect(idOf(line)).toBeUndefined();
  });
});

describe('a line that is no JSON does no harm', () => {
  test.each([
    ['a number with leading zeros', `{"jsonrpc":"2.0","id":007,"result":"${filling}"}`],
    ['an escape that JSON does not know', String.raw`{"jsonrpc":"2.0","id":"\x41","result":"${filling}"}`],
    ['a control character', `{"jsonrpc":"2.0","id":"a\tb","result":"${filling}"}`],
    ['leading zeros at the end', `{"result":{"t":"${filling}"},"jsonrpc":"2.0","id":-01}`],
  ])('%s', (_what, line) => {
    expect(idOf(line)).toBeUndefined();
  });

  test('bytes that are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":7,"result":"'), Buffer.alloc(2000, 0xff)]);
    expect(recoverResponseId(bytes.subarray(0, 1024), bytes.subarray(-1024))).toBe(7);
  });
});
