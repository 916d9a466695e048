import { describe, expect, test } from 'vitest';
import { RunApprovals, type RunApprovalsOptions } from '../../src/expose/approvals.ts';
import type { ApprovalCall, ApprovalReport } from '../../src/expose/options.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

interface Question {
  readonly call: ApprovalCall;
  readonly signal: AbortSignal;
  readonly answer: (isApproved: boolean) => void;
  readonly fail: (error: Error) => void;
}

interface World {
  readonly approvals: RunApprovals;
  readonly clock: FakeClock;
  readonly questions: Question[];
  readonly reports: ApprovalReport[];
  readonly warnings: string[];
  /** Asks for a call of the tool; resolves with the reason of the refusal, or `approved`. */
  readonly ask: (
    tool: string,
    argumentsText?: string,
    caller?: string,
  ) => { outcome: Promise<string>; cancel: () => void };
}

function world(options: Partial<RunApprovalsOptions> = {}): World {
  const clock = createFakeClock();
  const questions: Question[] = [];
  const reports: ApprovalReport[] = [];
  const warnings: string[] = [];
  const approvals = new RunApprovals({
    approve: ['all'],
    decide: (call, signal) =>
      new Promise((answer, fail) => {
        questions.push({ call, signal, answer, fail });
      }),
    onDecided: (report) => reports.push(report),
    onWarning: (message) => warnings.push(message),
    clock,
    ...options,
  });
  const { ask } = approvals.forServer(undefined);
  return {
    approvals,
    clock,
    questions,
    reports,
    warnings,
    ask(tool, argumentsText, caller = 'anna') {
      const call = new AbortController();
      const asked = ask(
        {
          tool,
          argumentsText: argumentsText === undefined ? undefined : Buffer.from(argumentsText),
          caller,
          client: undefined,
          clientInfo: { name: 'test', version: '0' },
        },
        call.signal,
      );
      const outcome = asked.then((refusal) =>
        refusal === undefined ? 'approved' : [refusal.reason, refusal.why].filter((part) => part !== '').join(': '),
      );
      return { outcome, cancel: () => call.abort() };
    },
  };
}

/** Questions are put in later microtasks. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the answer decides, and is reported without arguments', async () => {
  const { ask, questions, reports } = world();
  const first = ask('write', '{ "path": "/a", "n": 9007199254740993 }');
  await settled();
  expect(questions[0]?.call).toEqual({
    tool: 'write',
    caller: 'anna',
    client: undefined,
    clientInfo: { name: 'test', version: '0' },
    arguments: { path: '/a', n: 9_007_199_254_740_992 },
    argumentsJson: '{"path":"/a","n":9007199254740993}',
  });
  questions[0]?.answer(true);
  expect(await first.outcome).toBe('approved');
  const second = ask('rm');
  await settled();
  expect(questions[1]?.call).toMatchObject({ arguments: undefined, argumentsJson: undefined });
  questions[1]?.answer(false);
  expect(await second.outcome).toBe('not_approved');
  const about = { caller: 'anna', client: undefined, clientInfo: { name: 'test', version: '0' } };
  expect(reports).toEqual([
    { ...about, tool: 'write', outcome: 'approved', waitedMs: expect.any(Number) },
    { ...about, tool: 'rm', outcome: 'denied', reason: 'not_approved', waitedMs: expect.any(Number) },
  ]);
});

test('the name of the server is there if there are several', async () => {
  const reports: ApprovalReport[] = [];
  const calls: ApprovalCall[] = [];
  const decide = (call: ApprovalCall): boolean => calls.push(call) > 0;
  const { approvals } = world({ decide, onDecided: (report) => reports.push(report) });
  const origin = { caller: 'anna', client: '192.0.2.1', clientInfo: { name: '', version: '' } };
  await approvals
    .forServer('files')
    .ask({ tool: 'rm', argumentsText: undefined, ...origin }, new AbortController().signal);
  expect([calls[0]?.server, reports[0]?.server]).toEqual(['files', 'files']);
});

test('one call is asked about at a time', async () => {
  const { ask, questions } = world();
  const asked = ['a', 'b', 'c'].map((tool) => ask(tool));
  await settled();
  expect(questions.map(({ call }) => call.tool)).toEqual(['a']);
  asked[1]?.cancel();
  await settled();
  expect(questions).toHaveLength(1);
  questions[0]?.answer(true);
  await settled();
  expect(questions.map(({ call }) => call.tool)).toEqual(['a', 'c']);
  questions[1]?.answer(true);
  expect(await Promise.all(asked.map(({ outcome }) => outcome))).toEqual(['approved', 'cancelled', 'approved']);
});

test('a call that is cancelled takes its question back, whatever is answered then', async () => {
  const { ask, questions, reports } = world();
  const call = ask('rm');
  await settled();
  call.cancel();
  expect(questions[0]?.signal.aborted).toBe(true);
  questions[0]?.answer(true);
  expect(await call.outcome).toBe('cancelled');
  expect(reports).toMatchObject([{ outcome: 'cancelled' }]);
  expect(reports[0]).not.toHaveProperty('reason');
});

test('nobody waits longer than the timeout, also behind another call', async () => {
  const { ask, clock, questions } = world({ timeoutMs: 30_000 });
  const first = ask('a');
  clock.advance(20_000);
  const second = ask('b');
  await settled();
  clock.advance(10_000);
  expect(await first.outcome).toBe('approval_timed_out: since nobody answered within 30 s');
  expect(questions[0]?.signal.aborted).toBe(true);
  await settled();
  expect(questions.map(({ call }) => call.tool)).toEqual(['a', 'b']);
  clock.advance(20_000);
  expect(await second.outcome).toMatch(/^approval_timed_out/);
  expect(clock.pending).toBe(0);
});

test('by default it is two minutes', async () => {
  const { ask, clock } = world();
  const call = ask('a');
  clock.advance(119_999);
  await settled();
  clock.advance(1);
  expect(await call.outcome).toBe('approval_timed_out: since nobody answered within 120 s');
});

test('without anybody to ask, the call is refused at once', async () => {
  const { ask, reports } = world({ decide: undefined });
  expect(await ask('rm').outcome).toBe('approval_unavailable: since there is no terminal to ask on');
  expect(reports).toEqual([]);
});

test.each([
  ['rejects', () => Promise.reject(new Error('no such program'))],
  [
    'throws',
    () => {
      throw new Error('no such program');
    },
  ],
])('what %s has not approved', async (_how, decide) => {
  const { ask, warnings } = world({ decide });
  expect(await ask('rm').outcome).toBe('approval_failed: since it could not be decided');
  expect(await ask('rm').outcome).toBe('approval_failed: since it could not be decided');
  expect(warnings).toEqual(['a call was refused, since it could not be decided: no such program']);
});

test('only true approves', async () => {
  const answers: unknown[] = ['yes', 1, {}, undefined, 'true'];
  // oxlint-disable-next-line no-unsafe-type-assertion -- in JavaScript, it may answer anything
  const { ask } = world({ decide: () => answers.shift() as boolean });
  for (let count = 0; count < 5; count++) expect(await ask('rm').outcome).toBe('not_approved'); // oxlint-disable-line no-await-in-loop
});

const tooMany = 'too_many_approvals: since too many calls wait for approval';

describe('bounds', () => {
  test('10 calls of a caller wait, further ones are refused at once, and the owner is told once', async () => {
    const { ask, questions, reports, warnings } = world();
    const asked = Array.from({ length: 1000 }, () => ask('rm'));
    const refused = await Promise.all(asked.slice(10).map(({ outcome }) => outcome));
    expect(new Set(refused)).toEqual(new Set([tooMany]));
    expect(warnings).toEqual(['calls that need approval are refused: 10 of one caller wait already']);
    expect(reports).toEqual([]);
    expect(questions).toHaveLength(1);
    asked[5]?.cancel();
    await asked[5]?.outcome;
    const next = ask('rm');
    for (const { cancel } of asked) cancel();
    await settled();
    questions.at(-1)?.answer(true);
    expect(await next.outcome).toBe('approved');
  });

  test('100 calls of all callers wait', async () => {
    const { ask, warnings } = world();
    const asked = Array.from({ length: 101 }, (_, at) => ask('rm', undefined, `caller ${at}`));
    expect(await asked[100]?.outcome).toBe(tooMany);
    expect(warnings).toEqual(['calls that need approval are refused: 100 wait already']);
    asked[0]?.cancel();
    await asked[0]?.outcome;
    const next = ask('rm', undefined, 'caller 100');
    for (const { cancel } of [next, ...asked]) cancel();
    expect(await next.outcome).toBe('cancelled');
  });

  test('callers take turns, however many calls of one wait', async () => {
    const { ask, questions } = world();
    for (const tool of ['a1', 'a2', 'a3']) ask(tool);
    ask('b1', undefined, 'ben');
    ask('c1', undefined, 'cleo');
    const order: string[] = [];
    for (let count = 1; count <= 5; count++) {
      await settled(); // oxlint-disable-line no-await-in-loop
      order.push(questions.at(-1)?.call.tool ?? '');
      questions.at(-1)?.answer(true);
    }
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3']);
  });

  test('a caller who withdraws calls again and again is not asked about for a while, others are', async () => {
    const { ask, clock, questions, warnings } = world();
    for (let count = 0; count < 20; count++) {
      const { cancel, outcome } = ask('rm');
      await settled(); // oxlint-disable-line no-await-in-loop
      cancel();
      expect(await outcome).toBe('cancelled'); // oxlint-disable-line no-await-in-loop
    }
    expect(await ask('rm').outcome).toBe(tooMany);
    expect(questions).toHaveLength(20);
    expect(warnings).toEqual(['calls that need approval are refused: one caller withdraws too many']);
    const other = ask('rm', undefined, 'ben');
    await settled();
    questions.at(-1)?.answer(true);
    expect(await other.outcome).toBe('approved');
    clock.advance(6000);
    // What is decided takes nothing.
    for (let count = 0; count < 30; count++) {
      const next = ask('rm');
      await settled(); // oxlint-disable-line no-await-in-loop
      questions.at(-1)?.answer(true);
      expect(await next.outcome).toBe('approved'); // oxlint-disable-line no-await-in-loop
    }
  });
});

test('the end refuses what waits and what comes later, and ends what decides', async () => {
  let ends = 0;
  const { ask, approvals, questions, clock } = world({ endDeciding: async () => void ends++ });
  const asked = [ask('a'), ask('b')];
  await settled();
  await approvals.close();
  expect(questions[0]?.signal.aborted).toBe(true);
  asked.push(ask('c'));
  expect(new Set(await Promise.all(asked.map(({ outcome }) => outcome)))).toEqual(
    new Set(['approval_ended: since the server is shutting down']),
  );
  expect(ends).toBe(1);
  expect(clock.pending).toBe(0);
});
