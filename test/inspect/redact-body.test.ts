import { describe, expect, test } from 'vitest';
import { generateToken } from '../../src/auth/token.ts';
import { maxBodyLength, redactBody } from '../../src/inspect/redact-body.ts';
import { parseJson } from '../harness/parse-json.ts';

describe('the value of a secret name is left out', () => {
  test.each(
    [
      ['password', 'PASSWORD', 'passwd', 'db_password', 'userPassword', 'passphrase', 'pwd', 'passcode'],
      ['token', 'accessToken', 'refresh-token', 'X-Auth-Token', 'secret', 'client_secret', 'CLIENT.SECRET'],
      ['apiKey', 'api_key', 'API-KEY', 'x-api-key', 'privateKey', 'AWS_SECRET_ACCESS_KEY', 'access key', 'sshKey'],
      ['authorization', 'Proxy-Authorization', 'auth', 'bearer', 'cookie', 'Set-Cookie', 'sessionId', 'credentials'],
      ['DATABASE_DSN', 'connectionString', 'signature', 'pin', 'otp', 'pass', 'DB_PASS', 'userPass', 'pw', 'X-Auth'],
      ['tokens', 'token_s', 'sessionTokens', 'session'],
    ].flat(),
  )('%s', (name) => {
    expect(redactBody({ a: [{ [name]: 'open sesame' }], [name]: { deep: ['open sesame'] } })).toEqual({
      a: [{ [name]: '…' }],
      [name]: '…',
    });
  });

  test('also if it is a number, and not if it says nothing', () => {
    expect(redactBody({ pin: 1234, token: null, hasPassword: true })).toEqual({
      pin: '…',
      token: null,
      hasPassword: true,
    });
  });

  test('and that of another name is kept', () => {
    const body = {
      path: '/a',
      author: 'me',
      key: 'Enter',
      monkey: 1,
      assessment: 'x',
      spinner: 'y',
      list: [1, null, true],
      usage: { input_tokens: 5, maxTokens: 1000 },
      nextPageToken: 'Mg==',
      _meta: { progressToken: 'p1' },
      passes: 3,
      compassion: 'z',
    };
    expect(redactBody(body)).toEqual(body);
    const text = JSON.stringify(body, null, 1);
    expect(redactBody(text)).toBe(text);
  });

  test('what another member or the element before names as secret is left out', () => {
    expect(
      redactBody({
        env: [
          { name: 'DB_PASSWORD', value: 'sesame' },
          { value: 1234, key: 'api_key' },
        ],
        fields: [{ element: 'Password field', ref: 'e5', text: 'sesame' }],
        argv: ['--password', 'sesame', '-v', 'kept', '-u', 'anna:sesame'],
        headers: [['x-api-key', 'sesame'], 'Cookie', { a: 'sesame' }],
        limits: ['max_tokens', 5],
      }),
    ).toEqual({
      env: [
        { name: 'DB_PASSWORD', value: '…' },
        { value: '…', key: 'api_key' },
      ],
      fields: [{ element: 'Password field', ref: 'e5', text: '…' }],
      argv: ['--password', '…', '-v', 'kept', '-u', '…'],
      headers: [['x-api-key', '…'], 'Cookie', '…'],
      limits: ['max_tokens', '…'],
    });
    const kept = { type: 'text', text: 'a token', value: 'a token', name: 'a' };
    expect(redactBody(kept)).toEqual(kept);
    expect(redactBody(['word '.repeat(50) + 'token', 'kept'])).toHaveProperty('1', 'kept');
  });
});

describe('a text keeps what is not secret', () => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl-Zm9y_dGVzdHM';
  const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nsesame\n-----END RSA PRIVATE KEY-----';

  test.each([
    [`run with ${generateToken()} now`, 'run with … now'],
    ['mcpa_sesame12 mcpr_sesame12.', '… …'],
    [`(${jwt})`, '(…)'],
    ['sk-proj-sesame_12 ghp_sesame123456 github_pat_sesame xoxb-sesame-1 AKIAIOSFODNN7EXAMPLE', '… … … … …'],
    ['Authorization: Bearer sesame12', 'Authorization: …'],
    ['Authorization: Basic c2VzYW1l and more\nnext: line', 'Authorization: …\nnext: line'],
    ['{"Cookie": "a=sesame; b=sesame"}', '{"Cookie": …}'],
    ['Cookie: a=b"; sid=sesame\nnext: line', 'Cookie: …\nnext: line'],
    ['Authorization: Digest username="a", response="sesame"', 'Authorization: …'],
    ['{"a":1,"Authorization":["sesame"],"b":2}', '{"a":1,"Authorization":…'],
    ['use bearer sesame1234 here', 'use bearer … here'],
    [`before ${pem} after`, 'before [private key] after'],
    [`-----BEGIN PRIVATE KEY-----\nsesame`, '[private key]'],
    ['postgres://me:sesame@db.example/x', 'postgres://…@db.example/x'],
    ['https://a.example/?q=1&key=sesame&token=sesame#x', 'https://a.example/?q=1&key=…&token=…'],
    [
      'https://a.example/?X-Amz-Expires=9&X-Amz-Signature=sesame',
      'https://a.example/?X-Amz-Expires=9&X-Amz-Signature=…',
    ],
    ['https://a.example/?access_code=sesame&a=1', 'https://a.example/?access_code=…&a=1'],
    ['API_KEY=sesame\nexport DB_PASSWORD="open sesame" x', 'API_KEY=…\nexport DB_PASSWORD=… x'],
    [`{"password":"open \\"sesame\\"","a":1}`, '{"password":…,"a":1}'],
    [JSON.stringify(JSON.stringify({ a: 1, secret: 'open" sesame' })), '"{\\"a\\":1,\\"secret\\":…'],
    ["{'api-key': 'open sesame'}", "{'api-key': …}"],
    ['password: open sesame, then\nnext: line', 'password: …\nnext: line'],
    ['DB_PASSWORD=aB)9x!sesame\r\nX=1', 'DB_PASSWORD=…\r\nX=1'],
    ['AccountKey=open;sesame,rest&sesame', 'AccountKey=…'],
    [`password=""sesame"" token='it''s sesame'`, 'password=… token=…'],
    ['{"a": 1, "password": ["sesame", "sesame"]}', '{"a": 1, "password": …'],
    ['{"credentials": {"user": "sesame"}}', '{"credentials": …'],
    ['a: 1\npassword: |\n  sesame', 'a: 1\npassword: …'],
    ['a: 1\npasswords:\n  - sesame\n  - sesame', 'a: 1\npasswords:…'],
    ['password := "sesame" + x', 'password := … + x'],
    [`['password' => 'sesame', 'a' => 1]`, `['password' => …, 'a' => 1]`],
    ['if (password === "sesame") {', 'if (password === …) {'],
    [`ALTER USER a WITH PASSWORD 'sesame';`, 'ALTER USER a WITH PASSWORD …;'],
    ['<password>sesame</password>', '<password>…'],
    ['<add key="ApiKey" value="sesame"/>', '<add key="ApiKey" value=…'],
    ['[{"name": "DB_PASSWORD", "value": "sesame"}]', '[{"name": "DB_PASSWORD", "value": …}]'],
    ['["--password","sesame","-v"]', '["--password",…,"-v"]'],
    ['[\n  "--password",\n  "sesame",\n  "-v"\n]', '[\n  "--password",\n  …,\n  "-v"\n]'],
    ['mysql --password sesame -u root', 'mysql --password …'],
    ['curl -u anna:sesame https://a.example', 'curl -u …'],
    ['{"hasPassword": true, "token": null, "a": 1}', undefined],
    [`data:image/png;base64,${'iVBORw0KGgo'.repeat(50)}==`, 'data:image/png;base64,[base64 data]'],
    ['a risk-averse task-list; the token of Anna; no-password-needed, see basic facts', undefined],
    ['https://a.example/me@b?x=1 mailto:me@example.com', undefined],
  ])('%s', (text, shown = text) => {
    expect(redactBody(text)).toBe(shown);
    expect(redactBody({ content: [{ type: 'text', text }] })).toEqual({ content: [{ type: 'text', text: shown }] });
  });

  test('names are texts too', () => {
    expect(redactBody({ [generateToken()]: 1 })).toEqual({ '…': 1 });
  });
});

describe('the copy is bounded', () => {
  const deep = (levels: number): unknown => (levels === 0 ? 'sesame' : { a: [deep(levels - 1)] });

  test.each<[string, unknown]>([
    ['a long text', 'word '.repeat(100_000)],
    ['a text that is longer in JSON', '\u0001'.repeat(100_000)],
    ['many texts', Array.from({ length: 10_000 }, (_, at) => `text ${at}`)],
    ['many numbers', Array.from({ length: 100_000 }, () => 0.123456789)],
    ['many names', Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`name ${at}`, {}]))],
    ['long names', Object.fromEntries(Array.from({ length: 500 }, (_, at) => ['\u0001'.repeat(500) + at, 1]))],
    ['many secrets', Array.from({ length: 10_000 }, () => ({ token: 'sesame' }))],
    ['depth', deep(1000)],
    ['width at each depth', Array.from({ length: 500 }, () => [[[[[[[['x'.repeat(50), {}, {}]]]]]]]])],
    ['what looks like the beginning of secrets', 'token: "\\'.repeat(50_000)],
    ['quotes', '"\\"'.repeat(100_000)],
    ['keys without an end', '-----BEGIN PRIVATE KEY-----'.repeat(10_000)],
    ['almost base64', `${'A'.repeat(255)} `.repeat(1000)],
    ['schemes', 'a://'.repeat(100_000)],
  ])('%s', (_what, body) => {
    const copy = JSON.stringify(redactBody(body));
    expect(copy.length).toBeLessThanOrEqual(maxBodyLength);
    expect(parseJson(copy)).toBeDefined();
    expect(copy).toContain(_what === 'keys without an end' ? '[private key]' : '…');
  });

  // A mebibyte each; in quadratic time, it would take minutes.
  test.each(
    [
      ['token', '-token-', '"token"', 'token.', 'token\\', 'token="', "token='", 'token=', 'token: null', 'tokens=1'],
      [
        'token\\\\\\\\         ',
        'authorization         ',
        'a":"value',
        'token",',
        'pass ',
        'api---key',
        '-a'.repeat(20),
      ],
      [
        'bearer         ',
        '-----BEGIN ',
        'a://',
        `a://${'x'.repeat(1900)}`,
        '?a',
        ' -u ',
        ' -u x',
        '.',
        ' ',
        '\\',
        '"',
        "'",
      ],
    ].flat(),
  )('takes linear time: %j', (piece) => {
    const bodies = Array.from({ length: 50 }, () => redactBody(piece.repeat(20_480 / piece.length)));
    expect(new Set(bodies).size).toBe(1);
  });

  test('says how much is left out', () => {
    const copy = JSON.stringify(redactBody(Array.from({ length: 10_000 }, () => 'x'.repeat(97))));
    const kept = copy.split('x'.repeat(97)).length - 1;
    expect(kept).toBeGreaterThan(100);
    // One is cut.
    expect(copy).toContain(`"… ${10_000 - kept - 1} more"]`);
  });

  test('a secret at the end of what is kept is recognised', () => {
    for (let length = maxBodyLength - 1200; length < maxBodyLength - 1000; length++) {
      expect(JSON.stringify(redactBody(`${' '.repeat(length)}${generateToken()}`))).not.toContain('mcp');
    }
  });

  test('an image is left out', () => {
    const image = { type: 'image', mimeType: 'image/png', data: Buffer.alloc(100_000, 7).toString('base64') };
    expect(redactBody({ content: [image] })).toEqual({ content: [{ ...image, data: '[base64 data]…' }] });
  });
});

test('names that objects have are like others', () => {
  const body = parseJson<object>('{"__proto__":{"a":"sk-sesame123"},"constructor":1}');
  expect(JSON.stringify(redactBody(body))).toBe('{"__proto__":{"a":"…"},"constructor":1}');
  expect(redactBody(undefined)).toBeUndefined();
});
