import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { checkToken, generateToken, readTokenFile } from '../../src/auth/token.ts';
import { ExposeError } from '../../src/errors.ts';
import { redactCommand, redactWord } from '../../src/platform/text/redact.ts';
import { temporaryDirectory } from '../harness/program.ts';

const secret = 'mcpx_a-very-secret-token-that-nobody-may-see';
const noInput = (): Readable => Readable.from([]);
/** As a terminal at which nobody types. */
const openInput = (): Readable => new Readable({ read() {} });

async function refusalOf(attempt: Promise<unknown>): Promise<ExposeError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExposeError)) throw new Error('no ExposeError was thrown', { cause: error });
  return error;
}

async function tokenFile(content: string | Buffer, mode = 0o600): Promise<string> {
  const file = path.join(temporaryDirectory(), 'token');
  await writeFile(file, content);
  await chmod(file, mode);
  return file;
}

describe('a new token', () => {
  test('is mcpx_ and 43 characters of base64url', () => {
    expect(generateToken()).toMatch(/^mcpx_[A-Za-z0-9_-]{43}$/);
  });

  test('never comes twice, and varies in every character', () => {
    const tokens = Array.from({ length: 2000 }, generateToken);
    expect(new Set(tokens).size).toBe(tokens.length);
    for (let at = 'mcpx_'.length; at < 48; at++) {
      // The last of 43 characters carries 4 of the 256 bits, the others 6 each.
      expect(new Set(tokens.map((token) => token[at])).size).toBe(at === 47 ? 16 : 64);
    }
  });

  test('is hidden where text of users is printed', () => {
    for (let count = 0; count < 100; count++) {
      const token = generateToken();
      expect([redactWord(token), redactCommand(`server --x ${token}`)]).toEqual(['…', 'server --x …']);
    }
  });

  test('is one that we accept ourselves', () => {
    const token = generateToken();
    expect(checkToken(token, 'nowhere')).toBe(token);
  });
});

describe('a token from elsewhere', () => {
  test('loses the white space around it', () => {
    expect(checkToken(`\t ${secret}\r\n`, 'the environment')).toBe(secret);
  });

  test.each(['a', 'abc.DEF-123_~+/', 'abc=', 'abc=='])('%s can be sent', (token) => {
    expect(checkToken(token, 'the environment')).toBe(token);
  });

  test.each(['', ' ', '\n\n'])('nothing but white space (%j) is refused', (token) => {
    expect(() => checkToken(token, 'the environment')).toThrow('the environment is empty');
  });

  test.each(['two words', 'a\nb', 'a\0b', 'päss', '=abc', 'a=b', 'a"b', 'a,b', '🔑', '\u2028x'])(
    '%j is refused, without being shown',
    (token) => {
      const shouted = token.repeat(3) + secret + token;
      expect(() => checkToken(shouted, 'MCP_EXPOSE_TOKEN')).toThrow(ExposeError);
      expect(() => checkToken(shouted, 'MCP_EXPOSE_TOKEN')).toThrow(
        /^the token in MCP_EXPOSE_TOKEN has characters that a bearer token cannot have$/,
      );
    },
  );
});

describe('a token file', () => {
  test('that only its owner can read is read', async () => {
    expect(await readTokenFile(await tokenFile(`${secret}\n`), noInput())).toBe(secret);
    expect(await readTokenFile(await tokenFile(secret, 0o400), noInput())).toBe(secret);
  });

  test('that is missing is named, with how to make one', async () => {
    const file = path.join(temporaryDirectory(), 'nothing here');
    const { code, message, hints } = await refusalOf(readTokenFile(file, noInput()));
    expect(code).toBe('token_unusable');
    expect(message).toBe(`there is no token file ${file}`);
    expect(hints).toEqual([`make one: (umask 077; echo "mcpx_$(openssl rand -hex 32)" > '${file}')`]);
  });

  test.each(['', '\n', '   \r\n '])('that holds nothing (%j) is refused', async (content) => {
    const file = await tokenFile(content);
    const { code, message } = await refusalOf(readTokenFile(file, noInput()));
    expect([code, message]).toEqual(['token_unusable', `the token file ${file} is empty`]);
  });

  test.each([
    [0o640, '0640'],
    [0o604, '0604'],
    [0o620, '0620'],
    [0o602, '0602'],
    [0o610, '0610'],
    [0o644, '0644'],
    [0o666, '0666'],
  ])('of mode %o is refused, with the command that mends it', async (mode, shown) => {
    const file = await tokenFile(secret, mode);
    const { code, message, hints } = await refusalOf(readTokenFile(file, noInput()));
    expect(code).toBe('token_unusable');
    expect(message).toBe(`the token file ${file} can be read by other users (mode ${shown})`);
    expect(hints).toEqual([`make it private: chmod 600 ${file}`]);
    expect([message, ...hints].join('\n')).not.toContain(secret);
  });

  test('behind a symbolic link is judged by what the link points to', async () => {
    const open = await tokenFile(secret, 0o644);
    const closed = await tokenFile(secret, 0o600);
    const folder = temporaryDirectory();
    await symlink(open, path.join(folder, 'to-open'));
    await symlink(closed, path.join(folder, 'to-closed'));
    await symlink(path.join(folder, 'nowhere'), path.join(folder, 'dangling'));
    const { message } = await refusalOf(readTokenFile(path.join(folder, 'to-open'), noInput()));
    expect(message).toContain('can be read by other users');
    expect(await readTokenFile(path.join(folder, 'to-closed'), noInput())).toBe(secret);
    const dangling = await refusalOf(readTokenFile(path.join(folder, 'dangling'), noInput()));
    expect(dangling.code).toBe('token_unusable');
  });

  test('that is a pipe to which nobody writes is refused, not waited for', async () => {
    const pipe = path.join(temporaryDirectory(), 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    expect((await refusalOf(readTokenFile(pipe, noInput()))).message).toContain('is not a file');
  });

  test('that is a folder is refused', async () => {
    const folder = path.join(temporaryDirectory(), 'folder');
    await mkdir(folder, { mode: 0o700 });
    const { code, message } = await refusalOf(readTokenFile(folder, noInput()));
    expect([code, message]).toEqual(['token_unusable', `the token file ${folder} is not a file`]);
  });

  test('that is a device is refused', async () => {
    const { message } = await refusalOf(readTokenFile('/dev/null', noInput()));
    expect(message).toBe('the token file /dev/null is not a file');
  });

  test('of 4096 bytes is read, a larger one is refused', async () => {
    expect(await readTokenFile(await tokenFile('a'.repeat(4096)), noInput())).toHaveLength(4096);
    const file = await tokenFile('a'.repeat(4097));
    const { message } = await refusalOf(readTokenFile(file, noInput()));
    expect(message).toBe(`the token file ${file} is larger than 4096 bytes`);
  });

  test.each([
    ['two lines', `${secret}\n${secret}\n`],
    ['a comment', `# mine\n${secret}\n`],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.from(secret), Buffer.from([0xff])])],
  ])('with %s is refused, without showing what is in it', async (_what, content) => {
    const { code, message, hints, cause } = await refusalOf(readTokenFile(await tokenFile(content), noInput()));
    expect(code).toBe('token_unusable');
    expect([message, ...hints, String(cause)].join('\n')).not.toContain(secret);
  });
});

describe('standard input, named by -', () => {
  test('that never ends is given up with the signal, and closed', async () => {
    const input = openInput();
    const ending = new AbortController();
    const reason = new Error('ended by SIGINT');
    const reading = readTokenFile('-', input, ending.signal);
    input.push(secret);
    ending.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(input.destroyed).toBe(true);
    await expect(readTokenFile('-', openInput(), ending.signal)).rejects.toBe(reason);
  });

  test('of 4096 bytes is read, a larger one is refused before its end, and closed', async () => {
    expect(await readTokenFile('-', Readable.from(['a'.repeat(4000), Buffer.from('a'.repeat(96))]))).toHaveLength(4096);
    const input = openInput();
    input.push('a'.repeat(4097));
    const { code, message } = await refusalOf(readTokenFile('-', input));
    expect([code, message]).toEqual(['token_unusable', 'standard input is larger than 4096 bytes']);
    expect(input.destroyed).toBe(true);
  });

  test('counts bytes, not characters', async () => {
    const { message } = await refusalOf(readTokenFile('-', Readable.from(['é'.repeat(2049)])));
    expect(message).toBe('standard input is larger than 4096 bytes');
  });

  test('in pieces that split a character is put together first', async () => {
    const [first, second] = [Buffer.from([0xc3]), Buffer.from([0xa9])];
    const { message } = await refusalOf(readTokenFile('-', Readable.from([first, second])));
    expect(message).toBe('the token in standard input has characters that a bearer token cannot have');
  });

  test('that cannot be read is refused with the reason', async () => {
    const input = openInput();
    input.destroy(new Error('EISDIR: illegal operation on a directory, read'));
    const { code, message } = await refusalOf(readTokenFile('-', input));
    expect(code).toBe('token_unusable');
    expect(message).toBe('cannot read the token from standard input: EISDIR: illegal operation on a directory, read');
  });

  test('is read to its end, in however many pieces', async () => {
    expect(await readTokenFile('-', Readable.from([secret.slice(0, 9), secret.slice(9), '\n']))).toBe(secret);
  });

  test('that is empty is refused', async () => {
    const { code, message } = await refusalOf(readTokenFile('-', noInput()));
    expect([code, message]).toEqual(['token_unusable', 'standard input is empty']);
  });

  test('with something else on it is refused, without showing it', async () => {
    const { message } = await refusalOf(readTokenFile('-', Readable.from([`${secret} and more`])));
    expect(message).toBe('the token in standard input has characters that a bearer token cannot have');
  });
});
