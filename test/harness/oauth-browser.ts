// A person in front of a real browser: Chromium, which goes where a client sends it, and uses the consent page by keyboard.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { launch, type Browser, type KeyInput, type Page, type SerializedAXNode } from 'puppeteer-core';
import { eventually, within } from './eventually.ts';
import { atEnd } from './lifetime.ts';
import { listenOnLoopback } from './loopback-server.ts';
import { killIfAlive, processesWithMark } from './processes.ts';
import { cleanEnvironment, temporaryDirectory } from './program.ts';

/** As Debian installs it. */
const chromium = '/usr/bin/chromium';

export interface Chromium {
  open(url: string, options?: PageOptions): Promise<Page>;
}

export interface PageOptions {
  width?: number;
  scheme?: 'light' | 'dark';
  javaScript?: boolean;
}

/** Starts Chromium for a file; each page is that of a new profile, with cookies of its own. */
export async function startBrowser(): Promise<Chromium> {
  const mark = randomUUID();
  const home = temporaryDirectory('file');
  const browser: Browser = await launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--no-proxy-server'],
    userDataDir: temporaryDirectory('file'),
    env: { ...cleanEnvironment(home), TMPDIR: home, TEST_RUN_MARK: mark },
    pipe: true,
    // The end of a test run is not the business of the library.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  atEnd('file', async () => {
    await browser.close();
    for (const { pid } of processesWithMark(mark)) killIfAlive(pid);
  });
  return {
    async open(url, { width = 1280, scheme = 'light', javaScript = true } = {}) {
      const context = await browser.createBrowserContext();
      atEnd('test', () => context.close());
      const page = await context.newPage();
      await page.setViewport({ width, height: 800 });
      await page.setJavaScriptEnabled(javaScript);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      page.setDefaultTimeout(10_000);
      await page.goto(url);
      await focused(page);
      return page;
    },
  };
}

/** Presses keys and waits for the page that they lead to. */
export async function pressToLeave(page: Page, ...keys: KeyInput[]): Promise<void> {
  await press(page, ...keys.slice(0, -1));
  await Promise.all([page.waitForNavigation(), page.keyboard.press(keys.at(-1) ?? 'Enter')]);
  await focused(page);
}

/** Waits until the cursor is where the page wants it, which is a moment after the page has been loaded. */
async function focused(page: Page): Promise<void> {
  await eventually(async () => {
    const isThere = '(document.querySelector("[autofocus]") ?? document.activeElement) === document.activeElement';
    if (!(await evaluated<boolean>(page, isThere))) throw new Error('the cursor is not in the field');
  });
}

export async function press(page: Page, ...keys: KeyInput[]): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- as a person presses them
  for (const key of keys) await page.keyboard.press(key);
}

/** Types the code, where the page has put the cursor, and presses Enter. */
export async function typeCode(page: Page, code: string): Promise<void> {
  await page.keyboard.type(code);
  await pressToLeave(page, 'Enter');
}

/** The value of an expression in the page; a string, since this project knows no types of browsers. */
export async function evaluated<T>(page: Page, expression: string): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the caller says what its expression is
  return (await page.evaluate(expression)) as T;
}

/** What a screen reader says of each part of the page: what it is, its name, and what describes it. */
export async function spokenText(page: Page): Promise<string[]> {
  const flat = (node: SerializedAXNode): SerializedAXNode[] => [node, ...(node.children ?? []).flatMap(flat)];
  const root = await page.accessibility.snapshot();
  if (root === null) throw new Error('the page is empty');
  return flat(root).map(({ role, name, description, invalid }) =>
    [role, name, description, invalid === undefined ? undefined : 'invalid'].filter(Boolean).join(': '),
  );
}

/** What the page says. */
export function pageText(page: Page): Promise<string> {
  return evaluated<string>(page, 'document.querySelector("main").innerText');
}

export interface Callback {
  /** Redirect URI of a client. */
  readonly url: string;
  /** The parameters with which the browser comes; each time, the next ones. */
  next(): Promise<URLSearchParams>;
}

/** Where a client on this computer waits for the browser. */
export async function startCallback(): Promise<Callback> {
  const arrived: URLSearchParams[] = [];
  const waiting: ((params: URLSearchParams) => void)[] = [];
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<main>You can close this page</main>');
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://127.0.0.1');
    if (pathname !== '/callback') return;
    const take = waiting.shift();
    if (take === undefined) arrived.push(searchParams);
    else take(searchParams);
  });
  const port = await listenOnLoopback(server);
  return {
    url: `http://127.0.0.1:${port}/callback`,
    next: async () => {
      const [there] = arrived.splice(0, 1);
      if (there !== undefined) return there;
      return await within(10_000, 'the browser to return', new Promise<URLSearchParams>((take) => waiting.push(take)));
    },
  };
}
