import { expect, test } from 'vitest';
import { createSessions, type SessionApprovals } from '../../../src/bridge/session/sessions.ts';
import type { Session } from '../../../src/bridge/session/session.ts';
import { ApprovalRule } from '../../../src/policy/approval-rule.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, initialize, request } from '../messages.ts';
import { createFakeCall } from './fake-sink.ts';

type Question = Parameters<SessionApprovals['ask']>;

/** A session whose calls of `rm` nobody decides about. */
function world(): { session: Session | undefined; server: FakeUpstream; questions: Question[] } {
  const server = createFakeUpstream();
  const questions: Question[] = [];
  const sessions = createSessions({
    nextUpstream: () => server,
    startTimeoutMs: 60_000,
    clock: createFakeClock(),
    approvals: {
      rule: new ApprovalRule(['rm']),
      ask: (...question) => new Promise(() => questions.push(question)),
    },
    onWarning() {},
  });
  const session = sessions.open(
    { id: 'me', label: 'anna', address: '192.0.2.1' },
    initialize,
    createFakeCall(),
    undefined,
  );
  server.say(agreement());
  return { session, server, questions };
}

test('whoever decides is told who calls', () => {
  const { session, questions } = world();
  session?.request(request(1, 'tools/call', { name: 'rm', arguments: { path: '/' } }), createFakeCall());
  expect(questions.map(([{ argumentsText, ...call }]) => ({ ...call, given: argumentsText?.toString() }))).toEqual([
    {
      tool: 'rm',
      caller: 'anna',
      client: '192.0.2.1',
      clientInfo: { name: 'test', version: '0' },
      given: '{"path":"/"}',
    },
  ]);
});

test('the end of the session withdraws the question', async () => {
  const { session, server, questions } = world();
  const call = createFakeCall();
  session?.request(request(1, 'tools/call', { name: 'rm' }), call);
  const [[, signal] = []] = questions;
  expect(signal?.aborted).toBe(false);
  await session?.close();
  expect(signal?.aborted).toBe(true);
  expect(call.failures).toMatchObject([{ data: { reason: 'session_ended' } }]);
  expect(server.sent).toHaveLength(1);
});

test('a client that goes for good withdraws the question, one that may come back does not', () => {
  const { session, questions } = world();
  const [away, gone] = [createFakeCall(), createFakeCall()];
  session?.request(request(1, 'tools/call', { name: 'rm' }), away);
  session?.request(request(2, 'tools/call', { name: 'rm' }), gone);
  away.absent = 'long';
  away.leave();
  gone.leave();
  expect(questions.map(([, { aborted }]) => aborted)).toEqual([false, true]);
});

test('an id can be used again after its client has gone', async () => {
  const { session } = world();
  const call = createFakeCall();
  session?.request(request(1, 'tools/call', { name: 'rm' }), call);
  call.leave();
  await Promise.resolve();
  expect(session?.request(request(1, 'tools/call', { name: 'ls' }), createFakeCall())).toBeUndefined();
});
