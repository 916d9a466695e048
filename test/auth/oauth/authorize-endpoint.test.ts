import { describe, expect, test } from 'vitest';
import type { PairingRequest } from '../../../src/auth/oauth/events.ts';
import { callback, errorOf, issuer, jsonOf, locationOf, requestOf, share, textOf } from './sharing.ts';

describe('approval', () => {
  test('A9 sends a code, the state and iss to the client', async () => {
    const sharing = share();
    const page = await sharing.open(await sharing.register());
    const response = await sharing.submit(page);
    expect(response.status).toBe(303);
    const location = locationOf(response);
    expect(location.origin + location.pathname).toBe(callback);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: 'st+te &1',
      iss: issuer,
    });
    expect(sharing.events.map(({ kind }) => kind)).toEqual([
      'access_requested',
      'pairing_code_changed',
      'access_approved',
    ]);
  });

  test('is asked for each time, and no page works twice', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const page = await sharing.open(clientId);
    await sharing.submit(page);
    expect(await sharing.submit(page)).toMatchObject({ status: 400, headers: { 'content-type': /html/ } });
    const { response } = await sharing.open(clientId);
    expect(response.status).toBe(200);
    expect(response.body).toContain('name="code"');
  });

  test('a page works for ten minutes', async () => {
    const sharing = share();
    const page = await sharing.open(await sharing.register());
    sharing.clock.advance(10 * 60_000 - 1);
    expect((await sharing.submit(page, { code: 'wrong' })).status).toBe(403);
    sharing.clock.advance(1);
    expect((await sharing.submit(page)).status).toBe(400);
  });

  test('denial is told to the client and the owner', async () => {
    const sharing = share();
    const response = await sharing.submit(await sharing.open(await sharing.register()), { decision: 'deny', code: '' });
    expect(locationOf(response).searchParams.get('error')).toBe('access_denied');
    expect(locationOf(response).searchParams.get('iss')).toBe(issuer);
    expect(sharing.eventsOf('access_refused')).toMatchObject([{ reason: 'denied_in_browser' }]);
  });

  test.each([
    ['mcp', 'mcp', 'mcp'],
    ['mcp', 'mcp:read', 'mcp:read'],
    ['mcp:read', 'mcp', 'mcp:read'],
    ['mcp mcp:read offline_access', undefined, 'mcp'],
    [undefined, undefined, 'mcp'],
    ['openid profile', undefined, 'mcp'],
  ])('of the scope %s, the choice %s gives %s', async (scope, chosen, granted) => {
    const tokens = await share().connect({ scope }, { scope: chosen });
    expect(tokens.scope).toBe(granted);
  });
});

describe('A13 the form is bound to the browser that opened the page', () => {
  test.each([
    ['no cookie', { cookie: '' }],
    ['the cookie of another browser', { cookie: `__Host-mcp-expose-consent=${'x'.repeat(43)}` }],
    ['a cookie of another name', { cookie: `mcp-expose-consent=${'x'.repeat(43)}` }],
    ['a form on another site', { origin: 'https://evil.example' }],
    ['a form in a sandboxed frame', { origin: 'null' }],
    ['another content type', { 'content-type': 'text/plain' }],
    ['no content type', { 'content-type': '' }],
  ])('%s is refused, and the code is not used up', async (_what, headers) => {
    const sharing = share();
    const page = await sharing.open(await sharing.register());
    const code = sharing.server.pairingCode;
    const response = await sharing.submit(page, {}, headers);
    expect(response.status).toBe(400);
    expect(response.headers['location']).toBeUndefined();
    expect(sharing.server.pairingCode).toBe(code);
    expect((await sharing.submit(page)).status).toBe(303);
  });

  test('GHSA-rww4-4w9c-7733: the page of an attacker cannot be submitted by another browser', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const attacker = await sharing.open(clientId, { state: 'of the attacker' });
    const victim = await sharing.open(clientId);
    expect(attacker.cookie).not.toBe(victim.cookie);
    expect((await sharing.submit({ ...attacker, cookie: victim.cookie })).status).toBe(400);
  });

  test('one browser can have several pages open', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const first = await sharing.open(clientId);
    const response = await sharing.get('/authorize', requestOf(clientId), { cookie: `a=b; ${first.cookie}; c=d` });
    expect(response.headers['set-cookie']).toContain(first.cookie);
    expect((await sharing.submit(first)).status).toBe(303);
  });

  test('a form that was changed or made up is refused', async () => {
    const sharing = share();
    const page = await sharing.open(await sharing.register());
    const [content = '', signature = ''] = page.sealed.split('.');
    const form: unknown = JSON.parse(Buffer.from(content, 'base64url').toString());
    const changed = JSON.stringify(form).replace(callback, 'https://evil.example/cb');
    expect(changed).toContain('evil');
    const forged = `${Buffer.from(changed).toString('base64url')}.${signature}`;
    const other = await share().open(await sharing.register());
    for (const sealed of [forged, '', '.', content, `${content}.`, `.${signature}`, other.sealed, 'x'.repeat(60_000)]) {
      // oxlint-disable-next-line no-await-in-loop -- one server
      expect((await sharing.submit({ ...page, sealed })).status).toBe(400);
    }
  });
});

describe('the pairing code', () => {
  test('a wrong one is an error next to the field, and the choice stays', async () => {
    const sharing = share();
    const page = await sharing.open(await sharing.register());
    const response = await sharing.submit(page, { code: 'ZZZZ-ZZZZ', scope: 'mcp:read' });
    expect(response.status).toBe(403);
    expect(response.body).toMatch(
      /<label for="code">.*<\/label>\s*<p class="error" id="error" role="alert">This is not the code/,
    );
    expect(response.body).toMatch(/aria-describedby="error hint" aria-invalid="true"/);
    expect(response.body).toMatch(/value="mcp:read" checked/);
    expect(response.body).not.toContain('ZZZZ');
    expect((await sharing.submit({ ...page, sealed: page.sealed })).status).toBe(303);
  });

  test('the fifth wrong one in a page ends its request', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const page = await sharing.open(clientId);
    const statuses: number[] = [];
    for (let tries = 0; tries < 5; tries += 1) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      statuses.push((await sharing.submit(page, { code: 'ZZZZ-ZZZZ' })).status);
    }
    expect(statuses).toEqual([403, 403, 403, 403, 303]);
    expect(sharing.eventsOf('access_refused')).toMatchObject([{ reason: 'wrong_codes' }]);
    expect((await sharing.submit(page)).status).toBe(400);
    expect((await sharing.submit(await sharing.open(clientId))).status).toBe(303);
  });

  test('ten wrong ones of anybody lock all pages for a while', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    for (const page of [await sharing.open(clientId), await sharing.open(clientId)]) {
      for (let tries = 0; tries < 5; tries += 1) await sharing.submit(page, { code: 'ZZZZ-ZZZZ' }); // oxlint-disable-line no-await-in-loop
    }
    const page = await sharing.open(clientId);
    const locked = await sharing.submit(page);
    expect(locked.status).toBe(429);
    expect(textOf(locked.body)).toContain('Try again in 30 seconds');
    expect(sharing.eventsOf('guessing_locked')).toHaveLength(1);
    sharing.clock.advance(30_000);
    expect((await sharing.submit(page)).status).toBe(303);
  });

  test('10,000 wrong ones in an hour, through any number of pages: at most a hundred are compared', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    let page = await sharing.open(clientId);
    const seen = new Map<number, number>();
    for (let tries = 0; tries < 10_000; tries += 1) {
      /* oxlint-disable no-await-in-loop -- one attacker */
      const { status } = await sharing.submit(page, { code: 'ZZZZ-ZZZZ' });
      if (status !== 403 && status !== 429) page = await sharing.open(clientId);
      /* oxlint-enable no-await-in-loop */
      seen.set(status, (seen.get(status) ?? 0) + 1);
      sharing.clock.advance(360);
    }
    const compared = (seen.get(403) ?? 0) + (seen.get(303) ?? 0);
    expect(compared).toBeGreaterThan(9);
    expect(compared).toBeLessThanOrEqual(100);
    expect(seen.get(429)).toBeGreaterThan(9800);
  });
});

describe('on the terminal', () => {
  type Answer = (value: boolean) => void;

  function shareOnTerminal(pairing: 'tty' | 'both') {
    const asked: { request: PairingRequest; signal: AbortSignal; answer: Answer }[] = [];
    let onAsked: (() => void) | undefined;
    const sharing = share({
      pairing,
      confirm: async (request, signal) =>
        new Promise((answer) => {
          asked.push({ request, signal, answer });
          onAsked?.();
        }),
    });
    const untilAsked = async (): Promise<void> =>
      new Promise((resolve) => {
        onAsked = resolve;
      });
    return { ...sharing, asked, untilAsked };
  }

  test.each([
    [true, 'code', []],
    [false, 'error', [{ reason: 'denied_on_terminal' }]],
  ])('tty: no code is asked for, and the answer %s decides', async (isAllowed, parameter, refusals) => {
    const sharing = shareOnTerminal('tty');
    const page = await sharing.open(await sharing.register());
    expect(page.response.body).not.toContain('name="code"');
    expect(page.response.body).toContain('on the terminal');
    const asked = sharing.untilAsked();
    const response = sharing.submit(page, { code: undefined, scope: 'mcp:read' });
    await asked;
    const [question] = sharing.asked;
    expect(question?.request).toMatchObject({ clientName: 'Some App', redirectHost: 'app.example', scope: 'mcp:read' });
    question?.answer(isAllowed);
    expect(locationOf(await response).searchParams.has(parameter)).toBe(true);
    expect(sharing.eventsOf('access_refused')).toMatchObject(refusals);
    expect(sharing.eventsOf('pairing_code_changed')).toEqual([]);
  });

  test('both: the terminal is asked only after the right code', async () => {
    const sharing = shareOnTerminal('both');
    const page = await sharing.open(await sharing.register());
    expect((await sharing.submit(page, { code: 'ZZZZ-ZZZZ' })).status).toBe(403);
    expect(sharing.asked).toEqual([]);
    const asked = sharing.untilAsked();
    const response = sharing.submit(page);
    await asked;
    sharing.asked[0]?.answer(true);
    expect(locationOf(await response).searchParams.has('code')).toBe(true);
  });

  test('no answer within 90 seconds is no, also if it comes later', async () => {
    const sharing = shareOnTerminal('tty');
    const page = await sharing.open(await sharing.register());
    const asked = sharing.untilAsked();
    const response = sharing.submit(page);
    await asked;
    sharing.clock.advance(90_000);
    expect(locationOf(await response).searchParams.get('error')).toBe('access_denied');
    expect(sharing.asked[0]?.signal.aborted).toBe(true);
    sharing.asked[0]?.answer(true);
    expect(sharing.eventsOf('access_refused')).toMatchObject([{ reason: 'no_answer_on_terminal' }]);
    expect(sharing.eventsOf('access_approved')).toEqual([]);
  });

  test('one question at a time; in both, the code is not used up by waiting', async () => {
    const sharing = shareOnTerminal('both');
    const clientId = await sharing.register();
    const [first, second] = [await sharing.open(clientId), await sharing.open(clientId)];
    const asked = sharing.untilAsked();
    const response = sharing.submit(first);
    await asked;
    const { pairingCode } = sharing.server;
    const waiting = await sharing.submit(second);
    expect(waiting.status).toBe(429);
    expect(textOf(waiting.body)).toContain('Another request waits');
    expect(sharing.server.pairingCode).toBe(pairingCode);
    sharing.asked[0]?.answer(true);
    await response;
    const askedAgain = sharing.untilAsked();
    const next = sharing.submit(second);
    await askedAgain;
    sharing.asked[1]?.answer(true);
    expect(locationOf(await next).searchParams.has('code')).toBe(true);
  });

  test('a terminal that fails does not give access', async () => {
    const sharing = share({ pairing: 'tty', confirm: async () => Promise.reject(new Error('no terminal')) });
    const response = await sharing.submit(await sharing.open(await sharing.register()));
    expect(locationOf(response).searchParams.get('error')).toBe('access_denied');
  });

  test('close takes the question back', async () => {
    const sharing = shareOnTerminal('tty');
    const page = await sharing.open(await sharing.register());
    const asked = sharing.untilAsked();
    const response = sharing.submit(page);
    await asked;
    sharing.server.close();
    expect(sharing.asked[0]?.signal.aborted).toBe(true);
    expect(locationOf(await response).searchParams.get('error')).toBe('access_denied');
    expect(sharing.clock.pending).toBe(0);
  });
});

test('other methods are refused', async () => {
  const response = await share().send({ method: 'DELETE', path: '/authorize' });
  expect(errorOf(response)).toEqual([405, 'invalid_request']);
  expect(jsonOf(response)['error_description']).toBe('use GET, POST');
  expect(response.headers['allow']).toBe('GET, POST');
});
