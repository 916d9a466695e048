import { describe, expect, test } from 'vitest';
import { createNgrokProvider } from '../../../../src/tunnel/providers/ngrok/ngrok.ts';
import { loadNgrokSdk, type NgrokForwardOptions, type NgrokSdk } from '../../../../src/tunnel/providers/ngrok/sdk.ts';
import { gate } from '../../../harness/gate.ts';
import { eventually } from '../../../harness/eventually.ts';
import { createBinaryWorld, requestTo, targetThat, type BinaryWorld } from '../binary-world.ts';

/** The package's `forward`, onto an edge of this machine. */
function sdkThat(refuses?: Error): NgrokSdk & { readonly asked: NgrokForwardOptions[]; closed: number } {
  const asked: NgrokForwardOptions[] = [];
  const sdk = {
    asked,
    closed: 0,
    async forward(options: NgrokForwardOptions) {
      asked.push(options);
      if (refuses !== undefined) throw refuses;
      const host = options.domain ?? 'calm-fox.ngrok-free.app';
      return {
        url: () => `https://${host}`,
        async close() {
          sdk.closed++;
        },
      };
    },
  };
  return sdk;
}

async function worldWith(env: Record<string, string> = { NGROK_AUTHTOKEN: '2abcSECRET' }): Promise<BinaryWorld> {
  return await createBinaryWorld({ programs: {}, env });
}

test('without the program, the package is used', async () => {
  const { environment, open } = await worldWith();
  const sdk = sdkThat();
  const provider = createNgrokProvider({ environment, loadSdk: async () => sdk });
  expect(await provider.unusable?.(new AbortController().signal)).toBeUndefined();
  const { tunnel, statuses } = await open(provider);
  expect(tunnel.publicUrls).toEqual(['https://calm-fox.ngrok-free.app']);
  expect(sdk.asked).toEqual([
    {
      addr: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      authtoken: '2abcSECRET',
      onStatusChange: expect.any(Function),
    },
  ]);
  const { port } = new URL(`http://${sdk.asked[0]?.addr}`);
  expect(await requestTo(Number(port), '/mcp', {})).toMatchObject({ status: 200 });
  await tunnel.close();
  await tunnel.close();
  expect(sdk.closed).toBe(1);
  expect(statuses).toEqual([]);
});

test('a domain is asked for', async () => {
  const { environment, open } = await worldWith();
  const sdk = sdkThat();
  const { tunnel } = await open(
    createNgrokProvider({ environment, publicUrl: 'https://mine.ngrok.app', loadSdk: async () => sdk }),
  );
  expect(sdk.asked[0]?.domain).toBe('mine.ngrok.app');
  expect(tunnel.publicUrls).toEqual(['https://mine.ngrok.app']);
});

test('a lost connection, which it makes anew by itself', async () => {
  const { environment, open } = await worldWith();
  const sdk = sdkThat();
  const { tunnel, warnings } = await open(createNgrokProvider({ environment, loadSdk: async () => sdk }));
  for (const status of ['closed', 'closed', 'connected', 'closed']) sdk.asked[0]?.onStatusChange?.(status);
  expect(warnings).toEqual(Array(2).fill('ngrok has lost its connection and makes another one'));
  await tunnel.close();
  sdk.asked[0]?.onStatusChange?.('connected');
  sdk.asked[0]?.onStatusChange?.('closed');
  expect(warnings).toHaveLength(2);
});

test('a tunnel that is up but dead is made anew', async () => {
  const { environment, open } = await worldWith();
  const sdk = sdkThat();
  const { tunnel, statuses, status } = await open(createNgrokProvider({ environment, loadSdk: async () => sdk }));
  tunnel.redial?.('nothing comes back through it');
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ state, reason }) => [state, reason])).toEqual([
    ['reconnecting', 'nothing comes back through it'],
    ['up', undefined],
  ]);
  expect(sdk.closed).toBe(1);
});

describe('refusals', () => {
  test.each([
    [
      new Error('failed to connect session\n\nauthentication failed: no account\n\nerror_code: ERR_NGROK_4018'),
      'tunnel_rejected',
      'ngrok says: it wants an account and its token (ERR_NGROK_4018)',
    ],
    [new Error('failed to listen\nmore'), 'tunnel_unavailable', 'ngrok made no tunnel: failed to listen'],
  ])('%s', async (refuses, code, message) => {
    const { environment, refusal } = await worldWith();
    const sdk = sdkThat(refuses);
    expect(await refusal(createNgrokProvider({ environment, loadSdk: async () => sdk }))).toMatchObject({
      code,
      message,
    });
  });

  test('no token', async () => {
    const { environment, refusal } = await worldWith({});
    const sdk = sdkThat();
    const provider = createNgrokProvider({ environment, loadSdk: async () => sdk });
    expect(await provider.unusable?.(new AbortController().signal)).toContain('ngrok has no token');
    expect(await refusal(provider)).toMatchObject({ code: 'tunnel_rejected', message: 'ngrok has no token' });
    expect(sdk.asked).toEqual([]);
  });
});

test('what comes after it is not wanted any more is closed', async () => {
  const { environment } = await worldWith();
  const sdk = sdkThat();
  const { opened, open } = gate();
  const asked = gate();
  const slow: NgrokSdk = {
    async forward(options) {
      asked.open();
      await opened;
      return await sdk.forward(options);
    },
  };
  const abort = new AbortController();
  const opening = createNgrokProvider({ environment, loadSdk: async () => slow }).open(
    targetThat(() => {}),
    { signal: abort.signal, onStatus: () => {}, onWarning: () => {} },
  );
  await asked.opened;
  abort.abort(new Error('stopped by hand'));
  await expect(opening).rejects.toThrow('stopped by hand');
  open();
  await eventually(() => expect(sdk.closed).toBe(1));
});

test('the package is not here, and that is no error', async () => {
  expect(await loadNgrokSdk()).toBeUndefined();
});
