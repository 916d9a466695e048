import { expect, test } from 'vitest';
import {
  isBlocking,
  isForeign,
  isSeenFromHere,
  isSlowing,
  mayPass,
  saysNothing,
  wordsFor,
  type Problem,
} from '../../../src/tunnel/probe/problem.ts';

const header = { interstitial: { header: 'x-skip', value: '1' } };
const url = 'https://x.example:8443';

/** Each, whether it may pass by itself, whether it makes the URL useless, and what of its words tells what to do. */
const problems: [Problem, boolean, boolean, string][] = [
  [{ kind: 'no_dns' }, true, true, 'x.example:8443 has no address yet'],
  [{ kind: 'unreachable', reason: 'ECONNREFUSED' }, true, true, 'cannot be reached from here (ECONNREFUSED)'],
  [{ kind: 'tls_error', reason: 'self-signed' }, false, true, 'not trusted (self-signed): clients will refuse it'],
  [{ kind: 'throttled' }, true, true, 'accepts no more requests for now (429)'],
  [{ kind: 'tunnel_dead', status: 530 }, true, true, 'answers with 530'],
  [{ kind: 'interstitial', canBeSkipped: true }, false, false, 'clients have to send the header x-skip: 1'],
  [{ kind: 'interstitial', canBeSkipped: false }, false, true, 'take another --tunnel'],
  [{ kind: 'wrong_service', status: 200 }, false, true, 'check --public-url'],
  [{ kind: 'host_changed' }, false, true, 'Host header'],
  [{ kind: 'guard_missing', status: 404 }, false, true, 'lets in requests without a token (404)'],
  [{ kind: 'token_lost' }, false, true, 'the Authorization header does not get through'],
  [{ kind: 'upstream_dead', reason: 'it is down' }, false, false, 'the server behind it does not: it is down'],
  [{ kind: 'post_buffered' }, false, false, 'holds event streams back until they end'],
  [{ kind: 'get_buffered' }, false, false, '405'],
];

test.each(problems)('$kind: %j', (problem, passes, blocks, words) => {
  expect([mayPass(problem), isBlocking(problem)]).toEqual([passes, blocks]);
  const said = wordsFor(problem, url, header);
  expect(said).toContain(words);
  expect(said).toContain('x.example');
  // In one line, in lower case, without a full stop: fit for a warning.
  expect(said).toMatch(/^[^A-Z\n][^\n]*[^.\n]$/);
});

test.each<[string, (problem: Problem) => boolean, Problem['kind'][]]>([
  ['only slow things down', isSlowing, ['post_buffered', 'get_buffered']],
  ['may be this machine’s network', isSeenFromHere, ['no_dns', 'unreachable']],
  ['say nothing', saysNothing, ['throttled']],
  ['show the hand of somebody else', isForeign, ['wrong_service', 'host_changed', 'guard_missing']],
])('those that %s', (_what, is, kinds) => {
  expect(problems.filter(([problem]) => is(problem)).map(([{ kind }]) => kind)).toEqual(kinds);
});

test('a dead tunnel is not said to be dialled anew: not each can be', () => {
  const said = wordsFor({ kind: 'tunnel_dead', status: 530 }, url, header);
  expect(said).toContain('if it lasts, start again, or use another --tunnel');
  expect(said).not.toContain('dial');
});

test('a page that no header is known for cannot be passed', () => {
  expect(wordsFor({ kind: 'interstitial', canBeSkipped: true }, url, {})).toContain('take another --tunnel');
});

test('in front of which somebody else’s proxy is, no other tunnel is recommended', () => {
  const said = problems.map(([problem]) => wordsFor(problem, url, { name: 'none' }));
  expect(said.filter((words) => words.includes('--tunnel'))).toEqual([]);
  expect(said.join('\n')).toContain(
    'x.example:8443 answers with 530: the proxy in front does not reach this mcp-expose',
  );
});
