// What a server may say: JSON-RPC messages, whole, broken and mixed, as lines or as events.
import { bytesOf, type Vocabulary } from './mutation.ts';

const rpc = (members: object): string => JSON.stringify({ jsonrpc: '2.0', ...members });

const messages: readonly string[] = [
  ...[0, 1, 2, 3, 7, 40].map((id) => rpc({ id, result: { content: [{ type: 'text', text: 'é 😀 \u2028' }] } })),
  rpc({ id: 2, error: { code: -32_603, message: 'no', data: { a: [1, 2, 3] } } }),
  rpc({ id: '2', result: {} }),
  rpc({ id: null, error: { code: -32_700, message: 'no' } }),
  rpc({ id: 1, method: 'ping' }),
  rpc({ id: 'x', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }),
  rpc({ id: 5, method: 'roots/list' }),
  rpc({ method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(300) } }),
  rpc({ method: 'notifications/progress', params: { progressToken: 1, progress: 1, total: 2 } }),
  rpc({ method: 'notifications/tools/list_changed' }),
  rpc({ method: 'notifications/cancelled', params: { requestId: 1 } }),
  rpc({ method: 'notifications/resources/updated', params: { uri: 'test://x' } }),
  `[${rpc({ id: 2, result: {} })},${rpc({ method: 'notifications/message', params: {} })}]`,
  'Server listening on port 3000',
  '\x1b[31mred\x1b[0m',
];

const words: readonly string[] = [
  '\n',
  '\r\n',
  '\r',
  '\0',
  '\xef\xbb\xbf',
  '\xff',
  '\xed\xa0\x80',
  '"id":2,',
  '"id":null,',
  '"id":1.5,',
  '"id":9007199254740993,',
  '"ID":2,',
  '"method":null,',
  '"result":null,',
  '"error":null,',
  '"__proto__":{"x":1},',
  '"jsonrpc":"1.0",',
  '['.repeat(600),
  '{"a":'.repeat(600),
  '\\ud800',
  '\\u0000',
  '"',
  '\\',
  ',',
  '}',
  '{',
  '"' + 'a'.repeat(70_000) + '"',
  '1e400',
  '-',
];

/** Without line breaks between them. */
export const lineVocabulary: Vocabulary = { samples: bytesOf(...messages), words: bytesOf(...words) };

/** The same as events, with what else a stream may hold (HTML Living Standard, Server-sent events). */
export const eventVocabulary: Vocabulary = {
  samples: bytesOf(
    ...messages.map((message) => `event: message\nid: 1\ndata: ${message}\n\n`),
    ...messages.map((message) => `data: ${message}\r\n\r\n`),
    `: comment\n\nretry: 10\nid: 2\ndata:\n\n`,
    `event: endpoint\ndata: /messages?session=2\n\n`,
    `event: error\ndata: no\n\n`,
  ),
  words: bytesOf(
    ...words,
    'data: ',
    'data\n',
    'id: \0\n',
    'retry: 99999999999\n',
    'event: endpoint\n',
    '\n\n',
    ': \n',
    'data:\n'.repeat(2000),
  ),
};
