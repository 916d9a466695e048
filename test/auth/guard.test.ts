import { describe, expect, test } from 'vitest';
import { createAddressList } from '../../src/auth/address-list.ts';
import { GuessLimit, maxGuessingNetworks, RequestLimit } from '../../src/auth/caller-limits.ts';
import { createGuard, type Admission, type Guard, type GuardOptions, type RequestHead } from '../../src/auth/guard.ts';
import { createHostList } from '../../src/auth/hosts.ts';
import { TokenStore } from '../../src/auth/token-store.ts';
import { callersOf } from '../harness/callers.ts';
import { createFakeClock } from '../harness/fake-clock.ts';

const token = 'mcpx_right';

function guard(required: string | undefined = token): Guard {
  const hosts = createHostList();
  hosts.setUrls(['https://k3v9.relay.example']);
  return createGuard({ hosts, callers: callersOf(required) });
}

function sourceAt(peerAddress: string | undefined): RequestHead['source'] {
  return { peerAddress, valuesOf: () => [] };
}

function head(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    host: 'localhost:7801',
    endpoint: '/mcp',
    origin: undefined,
    authorization: [`Bearer ${token}`],
    source: sourceAt('127.0.0.1'),
    ...changes,
  };
}

const wrongHost = {
  status: 403,
  reason: 'host "evil.example" is not served here',
  data: { reason: 'host_not_allowed', host: 'evil.example' },
};
const wrongOrigin = {
  status: 403,
  reason: 'origin "https://evil.example" is not allowed',
  data: { reason: 'origin_not_allowed', origin: 'https://evil.example' },
};
const direct = { basePath: '' };
const tunnel = { basePath: '' };

describe('with a token', () => {
  test('the right one comes in', () => {
    expect(guard().admit(head())).toEqual({ caller: { id: 'test#1', label: 'test' }, host: direct });
    expect(guard().admit(head({ host: 'k3v9.relay.example', origin: 'https://k3v9.relay.example' }))).toEqual({
      caller: { id: 'test#1', label: 'test' },
      host: tunnel,
    });
  });

  test('none gets the plain challenge', () => {
    expect(guard().admit(head({ authorization: [] }))).toEqual({
      denial: {
        status: 401,
        reason: 'this server needs a bearer token: send "Authorization: Bearer <token>"',
        challenge: 'Bearer',
      },
    });
  });

  test.each(['Bearer wrong', 'Bearer', '', 'Basic abc'])(
    'a wrong one (%j) gets the challenge with invalid_token',
    (wrong) => {
      expect(guard().admit(head({ authorization: [wrong] }))).toEqual({
        denial: {
          status: 401,
          reason: 'the bearer token is not valid',
          challenge: 'Bearer error="invalid_token"',
        },
      });
    },
  );

  test('two headers get the challenge with invalid_request', () => {
    expect(guard().admit(head({ authorization: [`Bearer ${token}`, `Bearer ${token}`] }))).toEqual({
      denial: {
        status: 400,
        reason: 'more than one Authorization header',
        challenge: 'Bearer error="invalid_request"',
      },
    });
  });

  test('no denial shows what was sent as a token', () => {
    const sent = 'mcpx_somebody-elses-secret';
    for (const authorization of [[`Bearer ${sent}`], [sent], [sent, sent]]) {
      expect(JSON.stringify(guard().admit(head({ authorization })))).not.toContain(sent);
    }
  });
});

describe('where a caller comes from', () => {
  const source = {
    peerAddress: '127.0.0.1',
    valuesOf: (name: string) => (name === 'x-forwarded-for' ? ['203.0.113.66, 198.51.100.1'] : []),
  };
  const callerOf = (hopHeader: string | undefined, required: string | undefined): unknown => {
    const { caller } = {
      caller: undefined,
      ...createGuard({ hosts: createHostList(), callers: callersOf(required), hopHeader, reportsClients: true }).admit(
        head({ source }),
      ),
    };
    return caller;
  };

  test('is what the connection says, whatever a header does, unless a hop of ours is in front', () => {
    expect(callerOf(undefined, token)).toEqual({ id: 'test#1', label: 'test', address: '127.0.0.1' });
    expect(callerOf('x-forwarded-for', token)).toEqual({ id: 'test#1', label: 'test', address: '198.51.100.1' });
    expect(callerOf('cf-connecting-ip', token)).toEqual({ id: 'test#1', label: 'test', address: undefined });
  });

  test('is told of those without a token, too', () => {
    expect(callerOf('x-forwarded-for', undefined)).toEqual({
      id: 'anonymous',
      label: 'anonymous',
      address: '198.51.100.1',
    });
  });
});

test('the address of a caller that may open a session is determined in any case', () => {
  const { admit } = createGuard({ hosts: createHostList(), callers: callersOf(token) });
  expect(admit(head())).not.toHaveProperty('caller.address');
  expect(admit(head({ opensSession: true }))).toHaveProperty('caller.address', '127.0.0.1');
});

describe('the order of the checks', () => {
  test('a wrong host is told before a wrong origin and a wrong token', () => {
    const all = head({ host: 'evil.example', origin: 'https://evil.example', authorization: ['Bearer wrong'] });
    expect(guard().admit(all)).toEqual({ denial: wrongHost });
    expect(guard().admit(head({ host: 'evil.example' }))).toEqual({ denial: wrongHost });
  });

  test('a wrong origin is told before a wrong token', () => {
    expect(guard().admit(head({ origin: 'https://evil.example', authorization: [] }))).toEqual({ denial: wrongOrigin });
    expect(guard().admit(head({ origin: 'https://evil.example' }))).toEqual({ denial: wrongOrigin });
  });

  test('a denial for host or origin carries no challenge', () => {
    expect(guard().admit(head({ host: 'evil.example' }))).not.toHaveProperty('denial.challenge');
    expect(guard().admit(head({ origin: 'null' }))).not.toHaveProperty('denial.challenge');
  });
});

describe('without a token', () => {
  const open = createGuard({ hosts: createHostList(), callers: undefined });

  test('everybody is the same anonymous caller, whatever they send', () => {
    for (const authorization of [[], ['Bearer x'], ['a', 'b']]) {
      expect(open.admit(head({ authorization }))).toEqual({
        caller: { id: 'anonymous', label: 'anonymous' },
        host: direct,
      });
    }
  });

  test('host and origin are checked all the same', () => {
    expect(open.admit(head({ host: 'evil.example' }))).toEqual({ denial: wrongHost });
    expect(open.admit(head({ origin: 'https://evil.example' }))).toEqual({ denial: wrongOrigin });
  });
});

const withList = (address: string | undefined, changes: Partial<RequestHead> = {}, required?: string): Admission =>
  createGuard({
    hosts: createHostList(),
    callers: callersOf(required),
    admitsAddress: createAddressList(['192.0.2.0/24']),
  }).admit(head({ source: sourceAt(address), ...changes }));

describe('with a list of addresses', () => {
  const foreign = {
    status: 403,
    reason: '203.0.113.9 is not allowed',
    data: { reason: 'address_not_allowed', address: '203.0.113.9' },
  };

  test('another address is refused, whatever the token', () => {
    for (const authorization of [[], ['Bearer wrong'], [`Bearer ${token}`], ['a', 'b']])
      expect(withList('203.0.113.9', { authorization }, token)).toEqual({ denial: foreign });
    expect(withList('203.0.113.9')).toEqual({ denial: foreign });
  });

  test('an address of the list needs the token all the same', () => {
    expect(withList('192.0.2.7', { authorization: [] }, token)).toHaveProperty('denial.status', 401);
    expect(withList('192.0.2.7', {}, token)).toHaveProperty('caller.id', 'test#1');
    expect(withList('192.0.2.7')).toHaveProperty('caller.id', 'anonymous');
  });

  test('a token may be for some addresses: the others get 403, and exhaust no limit', () => {
    const store = new TokenStore();
    const anna = store.add('anna', { allowIps: ['192.0.2.0/24'] });
    const ben = store.add('ben');
    const clock = createFakeClock();
    const { admit } = createGuard({
      hosts: createHostList(),
      callers: store,
      requestLimit: new RequestLimit(1, clock),
    });
    const from = (address: string | undefined, presented: string): Admission =>
      admit(head({ source: sourceAt(address), authorization: [`Bearer ${presented}`] }));
    expect(from('203.0.113.9', anna)).toEqual({ denial: foreign });
    expect(from(undefined, anna)).toHaveProperty('denial.data.reason', 'address_not_allowed');
    expect(from('192.0.2.7', anna)).toHaveProperty('caller.label', 'anna');
    expect(from('192.0.2.7', anna)).toHaveProperty('denial.status', 429);
    expect(from('203.0.113.9', ben)).toHaveProperty('caller.label', 'ben');
  });

  test('loopback, and an address that is not known, are addresses like others', () => {
    expect(withList('127.0.0.1', {}, token)).toHaveProperty('denial.data.address', '127.0.0.1');
    expect(withList(undefined, {}, token)).toEqual({
      denial: {
        status: 403,
        reason: 'the address of the client is not known',
        data: { reason: 'address_not_allowed' },
      },
    });
  });

  test('mcp-expose’s own request passes with its token, and with none it is told that one is missing', () => {
    expect(withList('203.0.113.9', { isProbe: true }, token)).toHaveProperty('caller.id', 'test#1');
    expect(withList('203.0.113.9', { isProbe: true, authorization: [] }, token)).toHaveProperty('denial.status', 401);
  });

  test('a wrong host is told before a wrong address', () => {
    expect(withList('203.0.113.9', { host: 'evil.example' })).toEqual({ denial: wrongHost });
  });

  test('it holds for requests without a credential too, except those that may come from anywhere', () => {
    const { admitAnyone } = createGuard({
      hosts: createHostList(),
      callers: undefined,
      admitsAddress: createAddressList(['192.0.2.0/24']),
    });
    const host = 'localhost';
    const stranger = sourceAt('203.0.113.9');
    expect(admitAnyone({ host, source: stranger, fromAnywhere: false })).toEqual({ denial: foreign });
    expect(admitAnyone({ host, source: stranger, fromAnywhere: true })).toHaveProperty('caller.address', '203.0.113.9');
    expect(admitAnyone({ host, source: sourceAt('192.0.2.1'), fromAnywhere: false })).toHaveProperty(
      'caller.address',
      '192.0.2.1',
    );
  });
});

const statusOf = (admission: Admission): number => ('denial' in admission ? admission.denial.status : 200);
const guardWith = (options: Partial<GuardOptions>): Guard =>
  createGuard({ hosts: createHostList(), callers: callersOf(token), ...options });
const guess = (changes: Partial<RequestHead> = {}): RequestHead => head({ authorization: ['Bearer x'], ...changes });

describe('limits', () => {
  test('the eleventh wrong token within a minute is told to wait, and the right one never', () => {
    const clock = createFakeClock();
    const { admit } = guardWith({ guessLimit: new GuessLimit(() => {}, clock) });
    const statuses = Array.from({ length: 12 }, () => statusOf(admit(guess())));
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    expect(admit(guess())).toEqual({
      denial: {
        status: 429,
        reason: 'too many wrong tokens',
        retryAfterSeconds: 6,
        data: { reason: 'too_many_wrong_tokens' },
      },
    });
    expect(admit(head())).toHaveProperty('caller.id', 'test#1');
    expect(statusOf(admit(guess({ source: sourceAt('127.0.0.2') })))).toBe(401);
    clock.advance(6000);
    expect([statusOf(admit(guess())), statusOf(admit(guess()))]).toEqual([401, 429]);
  });

  test('100,000 guesses, of one network and of as many, take bounded memory and refuse no right token', () => {
    const limit = new GuessLimit(() => {}, createFakeClock());
    const { admit } = guardWith({ guessLimit: limit });
    const statuses = new Map<string, number>();
    for (let at = 0; at < 100_000; at++) {
      const own = sourceAt(at % 2 === 0 ? '198.51.100.7' : `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
      const wrong = statusOf(admit(guess({ source: own, authorization: [`Bearer mcpx_${at}`] })));
      statuses.set(`wrong ${wrong}`, (statuses.get(`wrong ${wrong}`) ?? 0) + 1);
      if (at % 1000 > 1) continue;
      // From the very network that guesses.
      const right = statusOf(admit(head({ source: own })));
      statuses.set(`right ${right}`, (statuses.get(`right ${right}`) ?? 0) + 1);
    }
    expect(Object.fromEntries(statuses)).toEqual({ 'wrong 401': 50_010, 'wrong 429': 49_990, 'right 200': 200 });
    expect(limit.size).toBe(maxGuessingNetworks);
  });

  test('credentials that are missing, malformed or over are no guesses; those of another scheme are', () => {
    const counted: (string | undefined)[] = [];
    const ended = { find: () => ({ reason: 'the bearer token has expired', code: 'token_expired' }) };
    const guessLimit = { count: (address: string | undefined) => counted.push(address) * 0 };
    const { admit } = guardWith({ guessLimit });
    admit(head({ authorization: [] }));
    admit(head({ authorization: ['a', 'b'] }));
    guardWith({ guessLimit, callers: ended }).admit(guess());
    expect(counted).toEqual([]);
    admit(head({ authorization: ['Basic abc'] }));
    expect(counted).toEqual(['127.0.0.1']);
  });

  test('where no address is known, strangers share one limit, and the right token passes', () => {
    const { admit } = guardWith({ guessLimit: new GuessLimit(() => {}, createFakeClock()), hopHeader: null });
    for (let at = 0; at < 10; at++) admit(guess({ source: sourceAt(`192.0.2.${at}`) }));
    expect(statusOf(admit(guess({ source: sourceAt('198.51.100.1') })))).toBe(429);
    expect(statusOf(admit(head()))).toBe(200);
  });

  test('a caller that makes too many requests is told to wait, and others are not', () => {
    const clock = createFakeClock();
    const callers = { find: (id: string) => ({ id, label: id }) };
    const { admit } = guardWith({ callers, requestLimit: new RequestLimit(2, clock) });
    const by = (name: string, changes: Partial<RequestHead> = {}): Admission =>
      admit(head({ authorization: [`Bearer ${name}`], ...changes }));
    expect([by('anna'), by('anna'), by('anna'), by('ben')].map(statusOf)).toEqual([200, 200, 429, 200]);
    expect(by('anna')).toEqual({
      denial: {
        status: 429,
        reason: 'too many requests',
        retryAfterSeconds: 1,
        data: { reason: 'too_many_requests' },
        caller: 'anna',
      },
    });
    expect(statusOf(by('anna', { isProbe: true }))).toBe(200);
    clock.advance(500);
    expect([by('anna'), by('anna')].map(statusOf)).toEqual([200, 429]);
  });

  test('without a token, each network is a caller', () => {
    const { admit } = guardWith({ callers: undefined, requestLimit: new RequestLimit(1, createFakeClock()) });
    const from = (address: string): number => statusOf(admit(head({ source: sourceAt(address) })));
    expect(['192.0.2.1', '192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'].map(from)).toEqual([
      200, 429, 200, 200, 429,
    ]);
  });
});

describe('what a denial shows of the request', () => {
  test('is escaped and no longer than a host name', () => {
    const { denial } = { denial: undefined, ...guard().admit(head({ host: `a"\u001b[31m\n${'x'.repeat(5000)}` })) };
    expect(denial?.reason).toContain(String.raw`host "a\"\u001b[31m\nxxx`);
    expect(denial?.reason.length).toBeLessThan(320);
  });

  test('says that there was none', () => {
    expect(guard().admit(head({ host: undefined }))).toEqual({
      denial: {
        status: 403,
        reason: 'host (none) is not served here',
        data: { reason: 'host_not_allowed', host: '' },
      },
    });
  });
});
