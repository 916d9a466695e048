import { describe, expect, test } from 'vitest';
import { createGuard, type Guard, type RequestHead } from '../../src/auth/guard.ts';
import { createHostList } from '../../src/auth/hosts.ts';
import { callersOf } from '../harness/callers.ts';

const token = 'mcpx_right';

function guard(required: string | undefined = token): Guard {
  const hosts = createHostList();
  hosts.setUrls(['https://k3v9.relay.example']);
  return createGuard({ hosts, callers: callersOf(required) });
}

function head(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    host: 'localhost:7801',
    endpoint: '/mcp',
    origin: undefined,
    authorization: [`Bearer ${token}`],
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
      ...createGuard({ hosts: createHostList(), callers: callersOf(required), hopHeader }).admit(head({ source })),
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
