import { describe, expect, test } from 'vitest';
import { ExposeError } from '../../../../src/errors.ts';
import type { OutputEvent } from '../../../../src/tunnel/providers/external/output-event.ts';
import {
  ProcessSession,
  type ProcessSessionOptions,
} from '../../../../src/tunnel/providers/external/process-session.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../../../harness/fake-clock.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { createMachine, node, stays, type TestMachine } from './programs.ts';

interface Begun {
  readonly session: ProcessSession;
  readonly started: ProcessSession['started'];
  readonly environment: TestMachine;
  readonly urls: (readonly string[])[];
  readonly warnings: string[];
  readonly seen: string[];
  readonly abort: AbortController;
}

/** Reads lines such as `urls https://a https://b`, `ready`, `expiry 5000`, `failure why` and `warning why`. */
function read(line: string): OutputEvent | undefined {
  const [, kind, rest = ''] = /^(\w+) ?(.*)$/.exec(line) ?? [];
  switch (kind) {
    case 'urls':
      return { kind, urls: rest === '' ? [] : rest.split(' ') };
    case 'ready':
      return { kind };
    case 'expiry':
      return { kind, inMs: Number(rest) };
    case 'failure':
      return { kind, error: new ExposeError('tunnel_rejected', rest) };
    case 'warning':
      return { kind, message: rest };
    default:
      return undefined;
  }
}

/** A program that writes these lines, and then goes on with this script. */
function begin(lines: readonly string[], script: string, options: Partial<ProcessSessionOptions> = {}): Begun {
  const environment =
    options.environment === undefined ? createMachine() : createMachine({ clock: options.environment.clock });
  const urls: (readonly string[])[] = [];
  const warnings: string[] = [];
  const seen: string[] = [];
  const abort = new AbortController();
  const session = new ProcessSession({
    ...node(`console.log(${JSON.stringify(lines.join('\n'))}); ${script}`),
    port: 1,
    program: 'thing',
    installHint: 'install it',
    signal: abort.signal,
    onUrls: (found) => urls.push(found),
    onWarning: (warning) => warnings.push(warning),
    ...options,
    read(line) {
      seen.push(line);
      return read(line);
    },
    environment,
  });
  session.started.catch(() => {});
  atEnd('test', async () => {
    abort.abort();
    const started = await within(
      15_000,
      'a run to start or not',
      session.started.catch(() => undefined),
    );
    await started?.close();
  });
  return { session, started: session.started, environment, urls, warnings, seen, abort };
}

/** Writes these lines when it is sent SIGUSR2, for which it says that it is ready. */
const later = (lines: readonly string[]): string =>
  `process.on('SIGUSR2', () => console.log(${JSON.stringify(lines.join('\n'))})); console.log('armed'); ${stays}`;

async function armed(begun: Begun): Promise<void> {
  await eventually(() => expect(begun.seen).toContain('armed'), 15_000);
}

function trigger({ environment }: Begun): void {
  for (const pid of environment.guarded) process.kill(pid, 'SIGUSR2');
}

function withFakeClock(): { clock: FakeClock; options: Partial<ProcessSessionOptions> } {
  const clock = createFakeClock();
  return { clock, options: { environment: createMachine({ clock }) } };
}

describe('it has started', () => {
  test('with its URL', async () => {
    const { started } = begin(['hello', 'urls https://a https://b'], stays);
    expect((await started).publicUrls).toEqual(['https://a', 'https://b']);
  });

  test('with its URL and that it is ready, in either order, where it says so', async () => {
    const lines = ['urls https://a', 'ready'];
    const one = begin(lines, stays, { saysReady: true });
    const other = begin(lines.toReversed(), stays, { saysReady: true });
    expect((await one.started).publicUrls).toEqual(['https://a']);
    expect((await other.started).publicUrls).toEqual(['https://a']);
  });

  test('when it is ready, where its URL is known', async () => {
    const begun = begin(['ready'], later([]), { saysReady: true, knownUrls: ['https://known'] });
    expect((await begun.started).publicUrls).toEqual(['https://known']);
    expect(begun.urls).toEqual([]);
  });

  test('when it runs, where its URL is known and it says nothing', async () => {
    const { started } = begin([], stays, { knownUrls: ['https://known'] });
    expect((await started).publicUrls).toEqual(['https://known']);
  });

  test('with what was learnt in another way', async () => {
    const { started, session } = begin([], stays, { saysReady: true });
    session.take({ kind: 'urls', urls: ['https://a'] });
    session.take({ kind: 'ready' });
    expect((await started).publicUrls).toEqual(['https://a']);
  });

  test('with the better URL that comes soon after the first', async () => {
    const { clock, options } = withFakeClock();
    const { started, seen, urls } = begin(['urls https://a', 'urls https://b'], later([]), {
      ...options,
      settleMs: 500,
    });
    await eventually(() => expect(seen).toContain('armed'), 15_000);
    clock.advance(499);
    expect(await Promise.race([started, Promise.resolve('not yet')])).toBe('not yet');
    clock.advance(1);
    expect((await started).publicUrls).toEqual(['https://b']);
    expect(urls).toEqual([]);
  });

  test('and when it will be ended', async () => {
    const { clock, options } = withFakeClock();
    const { started, seen } = begin(['expiry 5000', 'urls https://a'], later([]), options);
    await eventually(() => expect(seen).toContain('armed'), 15_000);
    clock.advance(0);
    expect((await started).expiresAt).toBe(clock.now() + 5000);
  });
});

describe('once it has started', () => {
  test('another URL is told of, and the same one is not', async () => {
    const begun = begin(['urls https://a'], later(['urls https://a', 'urls', 'urls https://b', 'warning soon']));
    await begun.started;
    await armed(begun);
    trigger(begun);
    await eventually(() => expect(begun.warnings).toEqual(['soon']), 15_000);
    expect(begun.urls).toEqual([['https://b']]);
  });

  test('what is final ends it, with that reason', async () => {
    const begun = begin(['urls https://a'], later(['failure not any more']));
    const session = await begun.started;
    await armed(begun);
    trigger(begun);
    const reason = await within(15_000, 'its end', session.ended);
    expect(reason).toMatchObject({ code: 'tunnel_rejected', message: 'not any more' });
    expect(begun.environment.guarded.size).toBe(0);
  });

  test('its own end is told, with its last words', async () => {
    const begun = begin(['urls https://a'], `setTimeout(() => { console.log('oh no'); process.exit(4); }, 300)`);
    const session = await begun.started;
    expect(await within(15_000, 'its end', session.ended)).toMatchObject({
      code: 'tunnel_unavailable',
      message: 'thing ended with code 4',
      hints: ['thing said: urls https://a', 'thing said: oh no'],
    });
  });

  test('closed, nothing of it is left', async () => {
    const begun = begin(['urls https://a'], stays);
    const session = await begun.started;
    await Promise.all([session.close(), session.close()]);
    expect(begun.environment.guarded.size).toBe(0);
    expect(await session.ended).toMatchObject({ message: 'thing ended with SIGTERM' });
  });

  test('who wanted it to start may lose interest', async () => {
    const begun = begin(['urls https://a'], stays);
    await begun.started;
    begun.abort.abort();
    expect(begun.environment.guarded.size).toBe(1);
  });
});

describe('it does not start', () => {
  test('as it says, and nothing of it is left', async () => {
    const { started, environment } = begin(['failure no', 'failure not so'], stays);
    await expect(started).rejects.toMatchObject({ code: 'tunnel_rejected', message: 'no' });
    expect(environment.guarded.size).toBe(0);
  });

  test('as was learnt in another way', async () => {
    const { started, session } = begin([], stays);
    session.fail(new ExposeError('tunnel_unavailable', 'no'));
    await expect(started).rejects.toMatchObject({ code: 'tunnel_unavailable', message: 'no' });
  });

  test('as it ends, whatever its reason', async () => {
    const { started } = begin(['one', 'two'], 'process.exitCode = 7');
    await expect(started).rejects.toMatchObject({
      code: 'tunnel_unavailable',
      message: 'thing ended with code 7 before it had a URL',
      hints: ['thing said: one', 'thing said: two'],
    });
  });

  test('as it ends just after it has said its URL', async () => {
    const { started } = begin(['urls https://a'], 'process.exitCode = 7', { settleMs: 5000 });
    await expect(started).rejects.toMatchObject({ message: 'thing ended with code 7 before it had a URL' });
  });

  test('as it is not installed', async () => {
    const { started } = begin([], '', { file: 'there-is-no-such-program', knownUrls: ['https://a'] });
    await expect(started).rejects.toMatchObject({
      code: 'tunnel_not_installed',
      message: 'thing is not installed',
      hints: ['install it'],
    });
  });

  test('as it cannot be run', async () => {
    const { started } = begin([], '', { args: ['a\0b'] });
    await expect(started).rejects.toMatchObject({
      code: 'tunnel_unavailable',
      message: 'thing could not be started: ERR_INVALID_ARG_VALUE',
    });
  });

  test.each<[string, readonly string[], string, readonly string[]]>([
    ['has no URL', ['hm'], 'thing had no URL after 30 s', ['name it', 'thing said: hm', 'thing said: armed']],
    [
      'is not ready',
      ['urls https://a'],
      'thing was not connected after 30 s',
      ['thing said: urls https://a', 'thing said: armed'],
    ],
  ])('in time: it %s', async (_what, lines, message, hints) => {
    const { clock, options } = withFakeClock();
    const begun = begin(lines, later([]), { ...options, saysReady: true, noUrlHints: ['name it'] });
    await armed(begun);
    clock.advance(29_999);
    expect(begun.environment.guarded.size).toBe(1);
    clock.advance(1);
    await expect(begun.started).rejects.toMatchObject({ code: 'tunnel_unreachable', message, hints });
    expect(begun.environment.guarded.size).toBe(0);
  });

  test('as nobody wants it any more, now or from the beginning', async () => {
    const begun = begin([], later([]));
    await armed(begun);
    begun.abort.abort(new Error('too late'));
    await expect(begun.started).rejects.toThrow('too late');
    expect(begun.environment.guarded.size).toBe(0);
    const never = begin(['urls https://a'], stays, { signal: AbortSignal.abort(new Error('never')) });
    await expect(never.started).rejects.toThrow('never');
    expect(never.environment.guarded.size).toBe(0);
  });
});

test('no timer is left behind, whatever becomes of it', async () => {
  const { clock, options } = withFakeClock();
  const begun = begin(['urls https://a'], later([]), options);
  await armed(begun);
  clock.advance(0);
  const session = await begun.started;
  expect(clock.pending).toBe(0);
  await session.close();
  const failed = begin(['failure no'], stays, { environment: createMachine({ clock }) });
  await expect(failed.started).rejects.toThrow('no');
  expect(clock.pending).toBe(0);
  const dead = begin([], 'process.exitCode = 7', { environment: createMachine({ clock }) });
  await expect(dead.started).rejects.toThrow('code 7');
  dead.session.take({ kind: 'urls', urls: ['https://too.late'] });
  dead.session.fail(new ExposeError('tunnel_rejected', 'too late'));
  expect(clock.pending).toBe(0);
});
