// Somebody approves a client that wants to sign in: on the page in a browser, and on the terminal.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, launchExpose } from '../harness/expose.ts';
import {
  type Chromium,
  evaluated,
  pageText,
  press,
  pressToLeave,
  spokenText,
  startBrowser,
  typeCode,
} from '../harness/oauth-browser.ts';
import { codeOf, knock, sharedServer, startShared, withCode } from '../harness/oauth-sign-in.ts';
import { connectWith } from '../harness/sdk-clients.ts';
import { startOnTerminal } from '../harness/terminal.ts';

let chromium: Chromium;
beforeAll(async () => {
  chromium = await startBrowser();
});

describe('the consent page', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startShared();
  });

  test('what a screen reader says', async () => {
    const { url } = await knock(exposed, { name: 'Reader' });
    const page = await chromium.open(url);
    const spoken = await spokenText(page);
    expect(await page.title()).toBe('Allow Reader to use fixture-flips-hint?');
    expect(spoken).toContain('heading: Allow Reader to use fixture-flips-hint?');
    expect(spoken).toContain('radio: Everything that is shared');
    expect(spoken).toContain('textbox: Pairing code: It is shown on the terminal where mcp-expose runs, as ABCD-EFGH.');
    expect(spoken.filter((part) => part.startsWith('button'))).toEqual(['button: Allow', 'button: Deny']);
  });

  test('a wrong code, then the right one, by keyboard alone', async () => {
    const { callback, url } = await knock(exposed);
    const page = await chromium.open(url);
    await typeCode(page, 'AAAA-AAAA');
    expect(await pageText(page)).toContain('This is not the code on the terminal.');
    expect(await evaluated(page, 'document.activeElement.id')).toBe('code');
    expect((await spokenText(page)).find((part) => part.startsWith('textbox'))).toMatch(
      /^textbox: Pairing code: This is not the code .* It is shown on the terminal .*: invalid$/,
    );
    // As people type it.
    await withCode(exposed, (code) => typeCode(page, ` ${code.toLowerCase().replace('-', ' ')}`));
    expect(await pageText(page)).toBe('You can close this page');
    const params = await callback.next();
    expect(params.get('state')).toBe('state of the SDK');
    expect(params.get('iss')).toBe(new URL(exposed.url).origin);
  });

  test('a page that was used cannot be used again', async () => {
    const { url } = await knock(exposed);
    const page = await chromium.open(url);
    await withCode(exposed, (code) => typeCode(page, code));
    await page.goBack();
    await page.waitForSelector('#code');
    await page.focus('#code');
    await typeCode(page, codeOf(exposed));
    expect(await pageText(page)).toContain('This page cannot be used any more');
  });

  test('Deny needs no code, and tells the client', async () => {
    const { callback, url } = await knock(exposed);
    await pressToLeave(await chromium.open(url), 'Tab', 'Tab', 'Enter');
    const params = await callback.next();
    expect([params.get('error'), params.get('code')]).toEqual(['access_denied', null]);
  });

  test('works without JavaScript', async () => {
    const { callback, url } = await knock(exposed);
    const page = await chromium.open(url, { javaScript: false });
    await typeCode(page, '0000-0000');
    expect(await pageText(page)).toContain('This is not the code on the terminal.');
    await withCode(exposed, (code) => typeCode(page, code));
    expect((await callback.next()).get('code')).toMatch(/./);
  });

  test.each([
    [375, 'light', 'rgb(255, 255, 255)'],
    [375, 'dark', 'rgb(23, 24, 28)'],
    [1280, 'light', 'rgb(255, 255, 255)'],
    [1280, 'dark', 'rgb(23, 24, 28)'],
  ] as const)('fits into %i pixels, %s', async (width, scheme, background) => {
    const { url } = await knock(exposed, { name: `Long${'longer'.repeat(12)}` });
    const page = await chromium.open(url, { width, scheme });
    expect(await evaluated(page, 'getComputedStyle(document.body).backgroundColor')).toBe(background);
    const [needed, shown] = await evaluated<number[]>(
      page,
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    expect(needed).toBe(shown);
    expect(shown).toBe(width);
  });

  test('a stranger gets a page that says what to do', async () => {
    const { url } = await knock(exposed);
    const unknown = new URL(url);
    unknown.searchParams.set('client_id', 'nobody');
    expect(await pageText(await chromium.open(unknown.href))).toContain('Unknown app');
  });
});

const question =
  /Give "Some App" \(name not verified, returns to [\d.:]+, from 127\.0\.0\.1\) full access at \S+\? \[yes\/N\] $/;

/** A client that wants in, as the question for it stands on the terminal; and what brings the answer. */
async function askOnTerminal(...args: string[]) {
  const terminal = startOnTerminal(['--tunnel', 'none', '--oauth', ...args, '--', ...sharedServer]);
  const [url = ''] = await terminal.waitFor(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
  const knocking = await knock({ url }, { name: 'Some App' });
  const page = await chromium.open(knocking.url);
  expect(await pageText(page)).toContain('Then confirm it on the terminal');
  const answer = async (word: string): Promise<void> => {
    await terminal.waitFor(question);
    terminal.type(`${word}\n`);
  };
  return { ...knocking, localUrl: url, terminal, page, answer };
}

describe('the terminal', () => {
  test('says who asks, with the code, who has got in, and who was refused', async () => {
    const exposed = await startShared({ lifetime: 'test' });
    const { client, callback, url } = await knock(exposed, { name: 'Some App' });
    const page = await chromium.open(url);
    const host = new URL(callback.url).host;
    const who = `mcp-expose: "Some App" (name not verified, returns to ${host}, from 127.0.0.1)`;
    const what = `full access at ${exposed.url}`;
    await exposed.waitForStderr(/if you know who asks/);
    expect(exposed.stderr()).toContain(
      `${who} asks for ${what}; if you know who asks, the pairing code is ${codeOf(exposed)}\n`,
    );
    await withCode(exposed, (code) => typeCode(page, code));
    await client.finish(await callback.next());
    await exposed.waitForStderr(/has signed in/);
    expect(exposed.stderr()).toContain(`${who} now has ${what}\n`);
    expect(exposed.stderr()).toContain('mcp-expose: "Some App" has signed in\n');
    expect(exposed.stderr()).toContain(`mcp-expose: the pairing code is now ${codeOf(exposed)}\n`);

    const other = await knock(exposed, { callback, name: 'Some App' });
    await pressToLeave(await chromium.open(other.url), 'Tab', 'Tab', 'Enter');
    await exposed.waitForStderr(/was refused/);
    expect(exposed.stderr()).toContain(`${who} was refused: access was denied on the page\n`);
  });

  test('wrong codes: five end the page, ten change the code, and nobody can try for a while', async () => {
    const exposed = await startShared({ lifetime: 'test' });
    const first = codeOf(exposed);
    const guess = async (): Promise<URLSearchParams> => {
      const { callback, url } = await knock(exposed);
      const page = await chromium.open(url);
      for (let count = 0; count < 5; count++) await typeCode(page, 'AAAA-AAAA'); // oxlint-disable-line no-await-in-loop
      return await callback.next();
    };
    expect(Object.fromEntries(await guess())).toMatchObject({
      error: 'access_denied',
      error_description: 'too many wrong pairing codes',
    });
    await exposed.waitForStderr(/was refused: too many wrong codes\n/);
    expect(codeOf(exposed)).toBe(first);
    await guess();
    await exposed.waitForStderr(/wrong codes were typed, the pairing code is now (?!AAAA-AAAA)[\dA-Z-]{9}\n/);
    await exposed.waitForStderr(/too many wrong codes: none is accepted until \d\d:\d\d:\d\d\n/);
    expect(codeOf(exposed)).not.toBe(first);
    const page = await chromium.open((await knock(exposed)).url);
    await typeCode(page, codeOf(exposed));
    expect(await pageText(page)).toMatch(/Too many wrong codes were entered. Try again in \d+ seconds/);
  });

  test('--pairing tty: yes lets in', async () => {
    const { terminal, client, callback, page, answer } = await askOnTerminal('--pairing', 'tty');
    expect(terminal.screen()).not.toContain('Pairing:');
    await Promise.all([pressToLeave(page, 'Tab', 'Tab', 'Enter'), answer('yes')]);
    expect(await (await client.finish(await callback.next())).tools()).toContain('seen');
    await terminal.waitFor(/"Some App" has signed in/);
    terminal.type('\u0003');
    expect(await terminal.exited).toBe(130);
  });

  // `y` is the answer to a question about a call.
  test.each(['n', '', 'y'])('--pairing tty: %j refuses', async (word) => {
    const { terminal, callback, page, answer } = await askOnTerminal('--pairing', 'tty');
    await Promise.all([pressToLeave(page, 'Tab', 'Tab', 'Enter'), answer(word)]);
    expect((await callback.next()).get('error')).toBe('access_denied');
    await terminal.waitFor(/was refused: you said no/);
  });

  test('--pairing both: the code, and then yes', async () => {
    const { terminal, callback, page, answer } = await askOnTerminal('--pairing', 'both');
    const [, code = ''] = await terminal.waitFor(/Pairing: +code ([\dA-Z]{4}-[\dA-Z]{4}),/);
    await Promise.all([typeCode(page, code), answer('yes')]);
    expect((await callback.next()).get('code')).toMatch(/./);
  });

  test('Ctrl+C ends the run also while it asks', async () => {
    const { terminal, page } = await askOnTerminal('--pairing', 'tty');
    await press(page, 'Tab', 'Tab', 'Enter');
    await terminal.waitFor(question);
    terminal.type('\u0003');
    expect(await terminal.exited).toBe(130);
  });

  test('questions about calls and about clients are asked one after the other', async () => {
    const { terminal, localUrl, client, callback, page, answer } = await askOnTerminal(
      '--pairing',
      'tty',
      '--approve',
      'look',
    );
    const [token] = await terminal.waitFor(/mcpx_[\w-]{43}/);
    const call = (await connectWith.v1(localUrl, token)).call('look');
    await terminal.waitFor(/Allow it\? \[y\/N\] /);
    await press(page, 'Tab', 'Tab', 'Enter');
    terminal.type('y\n');
    expect(await call).toBe('did look');
    await answer('yes');
    expect(await (await client.finish(await callback.next())).tools()).toContain('seen');
    expect(terminal.screen()).toMatch(/Allow it\? \[y\/N\] y\n[^]*Give [^]*\? \[yes\/N\] yes\n/);
  });

  test('--pairing tty without a terminal: usage', async () => {
    const run = launchExpose({ server: sharedServer, args: ['--oauth', '--pairing', 'tty'] });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain('error: --pairing tty asks on a terminal, and there is none\n');
    expect(run.stderr()).toContain('hint: use --pairing code\n');
  });
});
