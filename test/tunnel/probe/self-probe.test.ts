import { describe, expect, test } from 'vitest';
import { createProbeMarker } from '../../../src/tunnel/probe/probe-marker.ts';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import { capabilities } from '../../../src/tunnel/capabilities.ts';
import type { Problem } from '../../../src/tunnel/probe/problem.ts';
import { SelfProbe } from '../../../src/tunnel/probe/self-probe.ts';
import { gate } from '../../harness/gate.ts';
import { freePort } from '../../harness/loopback-server.ts';
import { selfSigned } from '../../harness/certificate.ts';
import { createWorld, token, type WorldOptions } from './world.ts';

const { signal } = new AbortController();

type Look = 'reach' | 'streams' | 'enter' | 'look';

/** What is found by each of the four, in their order, as far as the one before has found nothing. */
async function found(
  options: WorldOptions,
  looks: readonly Look[] = ['reach', 'streams', 'enter', 'look'],
): Promise<unknown> {
  const { url, probe } = await createWorld(options);
  for (const look of looks) {
    const problems = await probe[look](url, signal); // oxlint-disable-line no-await-in-loop -- in their order
    if (problems.length > 0) return { look, problems };
  }
  return 'all is well';
}

function finds(look: Look, ...problems: Problem[]): unknown {
  return { look, problems };
}

test('all is well, and what is begun is ended', async () => {
  const { url, probe, arrived, withToken } = await createWorld();
  expect(await probe.reach(url, signal)).toEqual([]);
  expect(await probe.streams(url, signal)).toEqual([]);
  // Neither needs the token, so neither shows it to whoever may be there.
  expect(withToken).toEqual([]);
  expect(await probe.enter(url, signal)).toEqual([]);
  expect(arrived.slice(3)).toEqual(['POST /mcp', 'DELETE /mcp']);
  expect(await probe.look(url, signal)).toEqual([]);
  expect(arrived.slice(5)).toEqual(['GET /readyz']);
  expect(withToken).toEqual(['POST /mcp', 'DELETE /mcp', 'GET /readyz']);
});

test('all is well without a token, too', async () => {
  expect(await found({ token: undefined })).toBe('all is well');
});

describe('the way', () => {
  test('no DNS', async () => {
    const failure = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    const overrides = new HostOverrides();
    // In the place of a resolver, of which a machine that runs tests may have none.
    overrides.lookupFor = () => (_host, _options, callback) => callback(failure, '', 4);
    const probe = new SelfProbe({
      environment: { env: {}, overrides },
      marker: createProbeMarker(() => {}),
      capabilities: capabilities.cloudflared,
      token,
      opening: () => undefined,
      readinessPath: '/readyz',
    });
    const nowhere = 'https://nothing.trycloudflare.com';
    expect(await probe.reach(nowhere, signal)).toEqual([{ kind: 'no_dns' }]);
    expect(await probe.look(nowhere, signal)).toEqual([{ kind: 'no_dns' }]);
    expect(await probe.streams(nowhere, signal)).toEqual([]);
  });

  test('TLS error', async () => {
    const host = 'x.trycloudflare.com';
    expect(await found({ host, front: { tls: selfSigned([`DNS:${host}`]) } })).toEqual(
      finds('reach', { kind: 'tls_error', reason: 'self-signed certificate' }),
    );
  });

  test('no TLS at all', async () => {
    const { url, probe } = await createWorld();
    const problems = await probe.reach(url.replace('http:', 'https:'), signal);
    expect(problems).toEqual([{ kind: 'tls_error', reason: expect.stringMatching(/./) }]);
  });

  test('unreachable', async () => {
    const port = await freePort();
    const { probe } = await createWorld({ overrides: [`x.example:${port}:127.0.0.1`] });
    expect(await probe.reach(`http://x.example:${port}`, signal)).toEqual([
      { kind: 'unreachable', reason: `connect ECONNREFUSED 127.0.0.1:${port}` },
    ]);
  });

  test('nobody answers', async () => {
    expect(await found({ front: { isSilent: true } })).toEqual(
      finds('reach', { kind: 'unreachable', reason: 'no answer within 2 s' }),
    );
  });

  test.each([502, 503, 504, 521, 530])('the tunnel is dead: %d', async (status) => {
    expect(await found({ front: { answer: () => ({ status, headers: html, body: 'error code: 1033' }) } })).toEqual(
      finds('reach', { kind: 'tunnel_dead', status }),
    );
  });

  test('the tunnel dies while our answer is on its way', async () => {
    expect(await found({ front: { replaces: () => 502 } })).toEqual(
      finds('reach', { kind: 'tunnel_dead', status: 502 }),
    );
  });

  test.each([200, 301, 401, 404])('a wrong service: %d', async (status) => {
    expect(await found({ front: { answer: () => ({ status, headers: html, body: '<h1>Hello</h1>' }) } })).toEqual(
      finds('reach', { kind: 'wrong_service', status }),
    );
  });

  test('too many requests, said by somebody on the way', async () => {
    const throttled = { kind: 'throttled' } as const;
    const front = { answer: () => ({ status: 429, headers: html, body: 'too many requests, continue later' }) };
    const interstitial = { header: 'x-skip-page', value: '1' };
    expect(await found({ front })).toEqual(finds('reach', throttled));
    expect(await found({ front }, ['enter'])).toEqual(finds('enter', throttled));
    expect(await found({ front }, ['look'])).toEqual(finds('look', throttled));
    const { probe, url, arrived } = await createWorld({ front, capabilities: { interstitial } });
    expect([await probe.reach(url, signal), arrived]).toEqual([[throttled], []]);
  });

  test('another name arrives than was asked for', async () => {
    const front = { headers: (headers: object) => ({ ...headers, host: 'origin.example' }) };
    expect(await found({ front })).toEqual(finds('reach', { kind: 'host_changed' }));
    expect(await found({ front, token: undefined })).toEqual(finds('reach', { kind: 'host_changed' }));
  });
});

const html = { 'content-type': 'text/html; charset=utf-8' };
const page = { status: 200, headers: html, body: '<p>You are about to visit … <button>Continue</button></p>' };

const behindPage = (request: { headers: Record<string, unknown> }): typeof page | undefined =>
  request.headers['x-skip-page'] === '1' ? undefined : page;

describe('a page for people', () => {
  const interstitial = { header: 'x-skip-page', value: '1' };

  test('that the known header skips', async () => {
    const front = { answer: behindPage };
    expect(await found({ front, capabilities: { interstitial } }, ['reach'])).toEqual(
      finds('reach', { kind: 'interstitial', canBeSkipped: true }),
    );
    expect(await found({ front, capabilities: { interstitial } }, ['streams', 'enter', 'look'])).toBe('all is well');
  });

  test('hides no guard that is missing, and no other name', async () => {
    const open = {
      answer: behindPage,
      headers: (headers: object) => ({ ...headers, authorization: `Bearer ${token}` }),
    };
    const skipped: Problem = { kind: 'interstitial', canBeSkipped: true };
    expect(await found({ front: open, capabilities: { interstitial } })).toEqual(
      finds('reach', { kind: 'guard_missing', status: 404 }, skipped),
    );
    const renamed = { answer: behindPage, headers: (headers: object) => ({ ...headers, host: 'origin.example' }) };
    expect(await found({ front: renamed, capabilities: { interstitial } })).toEqual(
      finds('reach', { kind: 'host_changed' }, skipped),
    );
  });

  test.each([
    [429, { kind: 'throttled' } as const],
    [530, { kind: 'tunnel_dead', status: 530 } as const],
  ])('behind which it fails: %d', async (status, problem) => {
    const front = {
      answer: (request: Parameters<typeof behindPage>[0]) => behindPage(request) ?? { status },
    };
    expect(await found({ front, capabilities: { interstitial } })).toEqual(finds('reach', problem));
  });

  test('that nothing is known of', async () => {
    const expected = finds('reach', { kind: 'interstitial', canBeSkipped: false });
    expect(await found({ front: { answer: () => page } })).toEqual(expected);
    expect(await found({ front: { answer: () => page }, capabilities: { interstitial } })).toEqual(expected);
  });

  test('is none for who is not a browser', async () => {
    expect(await found({ capabilities: { interstitial } })).toBe('all is well');
  });
});

describe('the guard', () => {
  test('is missing: something on the way adds the token', async () => {
    const front = { headers: (headers: object) => ({ ...headers, authorization: `Bearer ${token}` }) };
    expect(await found({ front })).toEqual(finds('reach', { kind: 'guard_missing', status: 404 }));
  });

  test('is there, though something on the way hides its answer or adds another credential', async () => {
    expect(await found({ front: { replaces: (status) => (status === 401 ? 200 : undefined) } })).toBe('all is well');
    const front = { headers: (headers: object) => ({ authorization: 'Basic eA==', ...headers }) };
    expect(await found({ front })).toBe('all is well');
  });

  test.each(['enter', 'look'] as const)('does not see the token (%s)', async (look) => {
    const front = { headers: (headers: object) => ({ ...headers, authorization: undefined }) };
    expect(await found({ front }, [look])).toEqual(finds(look, { kind: 'token_lost' }));
  });
});

const held = (method: string) => (request: { method?: string | undefined }) => request.method === method;

/** A server that answers everything so. */
const refuses =
  (status: number): NonNullable<WorldOptions['mcp']> =>
  (request, response) => {
    request.resume();
    response.writeHead(status, {});
    response.end();
  };

describe('streams', () => {
  test('that answer a POST are held back', async () => {
    expect(await found({ front: { holdsBack: held('POST') }, holdMs: 250 })).toEqual(
      finds('streams', { kind: 'post_buffered' }),
    );
  });

  test('that answer a GET are held back', async () => {
    expect(await found({ front: { holdsBack: held('GET') }, holdMs: 250 })).toEqual(
      finds('streams', { kind: 'get_buffered' }),
    );
  });

  test('that are known to be held back are not tried', async () => {
    const front = { holdsBack: () => true };
    const known = { getStreams: false, postStreams: false };
    const { url, probe, arrived } = await createWorld({ front, capabilities: known });
    expect(await probe.streams(url, signal)).toEqual([]);
    expect(arrived).toEqual([]);
  });

  test('that are late once are not held back', async () => {
    let streams = 0;
    const isFirst = (): boolean => streams++ === 0;
    expect(await found({ front: { holdsBack: isFirst }, capabilities: { postStreams: false } }, ['streams'])).toBe(
      'all is well',
    );
    expect(streams).toBe(2);
  });

  test.each([
    ['get lost', { answer: () => ({ status: 502 }) }],
    ['break off', { breaksOff: () => true }],
    ['break off on our side', { drops: () => true }],
  ])('that %s say nothing about that', async (_what, front) => {
    expect(await found({ front }, ['streams'])).toBe('all is well');
  });
});

describe('the server', () => {
  test.each([200, 500, 503])('does not begin a session: %d', async (status) => {
    expect(await found({ mcp: refuses(status) })).toEqual(
      finds('enter', { kind: 'upstream_dead', reason: `it answered with ${status}` }),
    );
  });

  test('says nothing', async () => {
    expect(await found({ mcp: (request) => request.resume() })).toEqual(
      finds('enter', { kind: 'upstream_dead', reason: 'no answer within 2 s' }),
    );
  });

  test('may take longer to begin than others to answer', async () => {
    const { probe, url } = await createWorld({ mcp: (request) => request.resume(), openingTimeoutMs: 100 });
    expect(await probe.enter(url, signal)).toEqual([{ kind: 'upstream_dead', reason: 'no answer within 0.1 s' }]);
  });

  test('says nothing until somebody on the way loses patience', async () => {
    const arrival = gate();
    const world: WorldOptions = { mcp: () => arrival.open(), front: { givesUp: arrival.opened } };
    expect(await found(world, ['enter'])).toEqual(
      finds('enter', { kind: 'upstream_dead', reason: 'no answer before a 504 on the way' }),
    );
  });

  test('is down', async () => {
    expect(await found({ isReady: false })).toEqual(
      finds('look', { kind: 'upstream_dead', reason: 'it is down or starting' }),
    );
  });

  test('is none: nothing is begun', async () => {
    const { url, probe, arrived } = await createWorld({ hasNoServer: true });
    expect(await probe.enter(url, signal)).toEqual([]);
    expect(arrived).toEqual([]);
  });

  test('is not blamed for a tunnel that has died meanwhile', async () => {
    const front = {
      answer: (request: { url?: string | undefined }) => (request.url === '/mcp' ? { status: 530 } : undefined),
    };
    expect(await found({ front })).toEqual(finds('enter', { kind: 'tunnel_dead', status: 530 }));
  });
});

test('nobody waits for what is not wanted any more, nor is anything sent for it', async () => {
  const { url, probe, withToken } = await createWorld({ front: { holdsBack: () => true } });
  const gone = AbortSignal.abort();
  expect(await probe.enter(url, gone)).toHaveLength(1);
  expect(withToken).toEqual([]);
  expect(await probe.streams(url, gone)).toEqual([]);
  expect(await probe.reach(url, gone)).toHaveLength(1);
});
