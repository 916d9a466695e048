import { describe, expect, test } from 'vitest';
import { createZrokReader } from '../../../../src/tunnel/providers/zrok/output.ts';

/** All that the lines say. */
function read(lines: readonly string[], program = 'zrok2'): unknown[] {
  const reader = createZrokReader(program);
  return lines.map((line) => reader(line)).filter((event) => event !== undefined);
}

const announced = 'access your zrok share at the following endpoints:';

describe('the URL', () => {
  test.each([
    [
      'zrok 2, in JSON: a host',
      [JSON.stringify({ level: 'INFO', msg: `${announced}\n 3s9fddkilbi6.shares.zrok.io` })],
      ['https://3s9fddkilbi6.shares.zrok.io'],
    ],
    [
      'zrok 1, in JSON: a URL',
      [JSON.stringify({ level: 'info', msg: `${announced}\n https://3s9fddkilbi6.share.zrok.io` })],
      ['https://3s9fddkilbi6.share.zrok.io'],
    ],
    [
      'several',
      [JSON.stringify({ msg: `${announced}\n a.shares.zrok.io\nb.example.org` })],
      ['https://a.shares.zrok.io', 'https://b.example.org'],
    ],
    [
      'in text, on the next line',
      [`[   0.069]    INFO main.(*sharePublicCommand).run: ${announced}`, 'https://3s9fddkilbi6.share.zrok.io'],
      ['https://3s9fddkilbi6.share.zrok.io'],
    ],
    [
      'in text, a host on the next line, of a service of somebody',
      [`[   0.069]    INFO main.(*sharePublicCommand).run: ${announced}`, '3s9f.zrok.example:8443'],
      ['https://3s9f.zrok.example:8443'],
    ],
    [
      'a reserved share of zrok 1',
      [JSON.stringify({ level: 'info', msg: 'access your zrok share: https://toaster.share.zrok.io' })],
      ['https://toaster.share.zrok.io'],
    ],
  ])('%s', (_what, lines, urls) => {
    expect(read(lines)).toEqual([{ kind: 'urls', urls }]);
  });

  test.each([
    [[JSON.stringify({ msg: 'connecting to https://api-v2.zrok.io' })]],
    [['https://docs.zrok.io', 'a.shares.zrok.io']],
    [[JSON.stringify({ msg: `${announced}\n api-v2.zrok.io` })]],
    [[JSON.stringify({ msg: 'updated backend target to: http://127.0.0.1:3000' })]],
    [[JSON.stringify({ msg: "use this command to access your zrok share: 'zrok access private abc'" })]],
    [[JSON.stringify({ msg: 7 }), 'null', '[]']],
    [[JSON.stringify({ msg: `1.2.3.4 ${announced} evil.example -> GET /` })]],
    [[`[   0.069]    INFO main.run: 1.2.3.4 ${announced}`, 'evil.example']],
  ])('none in %j', (lines) => {
    expect(read(lines)).toEqual([]);
  });
});

test('another one afterwards is a stranger’s', () => {
  const lines = ['a.shares.zrok.io', 'evil.example'].map((host) => JSON.stringify({ msg: `${announced} ${host}` }));
  expect(read(lines)).toEqual([{ kind: 'urls', urls: ['https://a.shares.zrok.io'] }]);
});

test('in text as zrok 2 has it', () => {
  expect(read([`[   0.069]    INFO main.(*sharePublicCommand).shareLocal ${announced}`, 'a.shares.zrok.io'])).toEqual([
    { kind: 'urls', urls: ['https://a.shares.zrok.io'] },
  ]);
});

describe('errors', () => {
  test.each([
    ['zrok2', "[ERROR]: unable to create share (unable to load environment; did you 'zrok2 enable'?)"],
    ['zrok', "[ERROR] unable to load environment; did you 'zrok enable'?"],
  ])('%s: not enabled', (program, line) => {
    expect(read([line], program)).toMatchObject([
      {
        kind: 'failure',
        error: {
          code: 'tunnel_rejected',
          message: `${program} is not enabled on this machine`,
          hints: [`run ${program} enable with the token of your account`],
        },
      },
    ]);
  });

  test.each([
    ['[ERROR]: unable to create share ([POST /share][401] shareUnauthorized)', 'tunnel_rejected', 'is not let in'],
    [
      "[ERROR]: unable to create share ([POST /share][409] name 'x' is in use)",
      'tunnel_rejected',
      'cannot have this share',
    ],
    [
      '[ERROR]: unable to create share ([POST /share][500] shareInternalServerError)',
      'tunnel_unavailable',
      'says: unable',
    ],
    [
      '[ERROR]: unable to create share ([POST /share][404] shareNotFound )',
      'tunnel_rejected',
      'cannot have this share',
    ],
    [
      '[ERROR]: unable to create share (Post "https://api-v2.zrok.io/api/v2/share": dial tcp: lookup api-v2.zrok.io: Temporary failure in name resolution)',
      'tunnel_unavailable',
      'says: unable',
    ],
    [
      '[ERROR]: unable to create share (Post "https://api-v2.zrok.io/api/v2/share": dial tcp: lookup api-v2.zrok.io: host not found)',
      'tunnel_unavailable',
      'says: unable',
    ],
    [
      '[ERROR]: unable to create share ([POST /share] share (status 407): unauthorized name)',
      'tunnel_unavailable',
      'says: unable',
    ],
  ])('%s', (line, code, words) => {
    expect(read([line])).toMatchObject([{ kind: 'failure', error: { code, message: expect.stringContaining(words) } }]);
  });

  test('not what it only logs', () => {
    expect(read(['{"level":"ERROR","msg":"error running http proxy backend: EOF"}'])).toEqual([]);
    const sent = "[ERROR]: did you 'zrok2 enable'?";
    expect(read([JSON.stringify({ msg: `${sent} -> GET /` }), `[   0.069]    INFO main.run: ${sent}`])).toEqual([]);
  });
});
