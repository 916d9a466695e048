import { describe, expect, test } from 'vitest';
import type { ClientDocument, FetchDocument } from '../../../src/auth/oauth/client-documents.ts';
import { createPublishedClients, type PublishedClients } from '../../../src/auth/oauth/published-clients.ts';
import { createRateLimit } from '../../../src/auth/oauth/rate-limit.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createDeferred } from '../../../src/platform/deferred.ts';
import { failureOf, share, textOf } from './sharing.ts';

/* oxlint-disable no-await-in-loop -- one after the other */

const url = new URL('https://app.example/client.json');

function documentOf(changes: object = {}, of: URL = url): string {
  return JSON.stringify({
    client_id: of.href,
    client_name: 'Published App',
    redirect_uris: ['https://app.example/callback'],
    ...changes,
  });
}

interface Publishing {
  readonly clients: PublishedClients;
  readonly clock: FakeClock;
  /** The documents that were fetched. */
  readonly fetched: string[];
}

function publish(answer: (of: URL) => ClientDocument | Promise<ClientDocument>, perHour = 1e6): Publishing {
  const clock = createFakeClock();
  const fetched: string[] = [];
  const fetchDocument: FetchDocument = async (of) => {
    fetched.push(of.href);
    return answer(of);
  };
  const clients = createPublishedClients({ clock, fetchDocument, rateLimit: createRateLimit(perHour, clock) });
  return { clients, clock, fetched };
}

const uncached = (text: string): ClientDocument => ({ text, cacheControl: 'no-store' });

describe('A10 a document', () => {
  test('gives a client, with its host as publisher', async () => {
    const { clients } = publish(() =>
      uncached(documentOf({ logo_uri: 'https://x.example/', application_type: 'web' })),
    );
    expect(await clients.find(url, undefined)).toEqual({
      id: url.href,
      name: 'Published App',
      redirectUris: ['https://app.example/callback'],
      publisher: 'app.example',
    });
  });

  test('may name redirect URIs that are not allowed, which are left out', async () => {
    const uris = ['javascript:alert(1)', 'http://app.example/', 'http://127.0.0.1/callback'];
    const { clients } = publish(() => uncached(documentOf({ redirect_uris: uris })));
    expect((await clients.find(url, undefined)).redirectUris).toEqual(['http://127.0.0.1/callback']);
  });

  test.each([
    ['another client_id', documentOf({ client_id: 'https://app.example/other.json' })],
    ['a client_id with another case', documentOf({ client_id: 'https://APP.example/client.json' })],
    ['no client_id', documentOf({ client_id: undefined })],
    ['no client_name', documentOf({ client_name: undefined })],
    ['an empty client_name', documentOf({ client_name: '\u200B \n' })],
    ['no redirect_uris', documentOf({ redirect_uris: undefined })],
    ['no redirect_uris that are allowed', documentOf({ redirect_uris: ['javascript:alert(1)'] })],
    ['a client_secret', documentOf({ client_secret: 'x' })],
    ['client_secret_post', documentOf({ token_endpoint_auth_method: 'client_secret_post' })],
    ['client_secret_jwt', documentOf({ token_endpoint_auth_method: 'client_secret_jwt' })],
    ['no JSON', '<html>'],
    ['an array', '[]'],
    ['nothing', ''],
  ])('is refused with %s', async (_what, text) => {
    const { clients } = publish(() => uncached(text));
    await expect(clients.find(url, undefined)).rejects.toThrow(/^(?:it|its|none|redirect_uris) /);
  });
});

describe('A11 the cache', () => {
  test.each([
    ['max-age=60', 60],
    ['public, max-age=3600', 3600],
    ['max-age="120"', 120],
    ['MAX-AGE=60', 60],
    [undefined, 300],
    ['private', 300],
    ['max-age=99999999999999', 24 * 3600],
    ['max-age=604800', 24 * 3600],
    ['s-maxage=60', 300],
  ])('%s keeps a document for %d s', async (cacheControl, seconds) => {
    const { clients, clock, fetched } = publish(() => ({ text: documentOf(), cacheControl }));
    await clients.find(url, undefined);
    clock.advance(seconds * 1000 - 1);
    await clients.find(url, undefined);
    expect(fetched).toHaveLength(1);
    clock.advance(1);
    await clients.find(url, undefined);
    expect(fetched).toHaveLength(2);
  });

  test.each(['no-store', 'no-cache', 'max-age=0', 'max-age=600, no-store', 'private,no-cache="x"'])(
    '%s keeps none',
    async (cacheControl) => {
      const { clients, fetched } = publish(() => ({ text: documentOf(), cacheControl }));
      await clients.find(url, undefined);
      await clients.find(url, undefined);
      expect(fetched).toHaveLength(2);
    },
  );

  test('keeps no errors', async () => {
    let text = 'broken';
    const { clients } = publish(() => ({ text, cacheControl: 'max-age=3600' }));
    await expect(clients.find(url, undefined)).rejects.toThrow('it is not a JSON object');
    text = documentOf();
    expect(await clients.find(url, undefined)).toMatchObject({ name: 'Published App' });
  });

  test('of 10,000 documents, the last 100 are kept', async () => {
    const { clients, fetched } = publish((of) => ({ text: documentOf({}, of), cacheControl: 'max-age=3600' }));
    const urls = Array.from({ length: 10_000 }, (_each, at) => new URL(`https://app.example/${at}.json`));
    for (const each of urls) await clients.find(each, undefined);
    for (const each of urls.slice(-100)) await clients.find(each, undefined);
    expect(fetched).toHaveLength(10_000);
    await clients.find(new URL('https://app.example/0.json'), undefined);
    expect(fetched).toHaveLength(10_001);
  });
});

describe('A11 requests', () => {
  test('everybody who waits for a document shares one', async () => {
    const { promise, resolve } = createDeferred<ClientDocument>();
    const { clients, fetched } = publish(async () => promise, 1);
    const waiting = Array.from({ length: 100 }, async () => clients.find(url, '192.0.2.1'));
    resolve(uncached(documentOf()));
    expect((await Promise.all(waiting)).every(({ name }) => name === 'Published App')).toBe(true);
    expect(fetched).toHaveLength(1);
  });

  test('at most eight at once', async () => {
    const { promise, resolve } = createDeferred<void>();
    const { clients, fetched } = publish(async (of) => promise.then(() => uncached(documentOf({}, of))));
    const all = Array.from({ length: 1000 }, async (_each, at) =>
      clients.find(new URL(`https://app.example/${at}.json`), undefined),
    );
    const settled = Promise.allSettled(all);
    resolve();
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(992);
    expect(fetched).toHaveLength(8);
    expect(await clients.find(url, undefined)).toBeDefined();
  });

  test('a number for each network and hour, failed ones too', async () => {
    const { clients, fetched } = publish(() => uncached('broken'), 20);
    for (let at = 0; at < 100; at += 1) {
      await expect(clients.find(new URL(`https://app.example/${at}.json`), '192.0.2.1')).rejects.toThrow(/./);
    }
    expect(fetched).toHaveLength(20);
    await expect(clients.find(url, '192.0.2.2')).rejects.toThrow(/./);
    expect(fetched).toHaveLength(21);
  });

  test('close ends them', async () => {
    const clock = createFakeClock();
    const clients = createPublishedClients({
      clock,
      rateLimit: createRateLimit(20, clock),
      fetchDocument: async (_of, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    });
    const found = failureOf(clients.find(url, undefined));
    clients.close();
    expect(await found).toBe('aborted');
  });
});

describe('claude-code#84263 documents of common clients', () => {
  const known = [
    ['https://claude.ai/oauth/mcp-oauth-client-metadata', 'Claude', 'https://claude.ai/api/mcp/auth_callback'],
    ['https://claude.ai/oauth/claude-code-client-metadata', 'Claude Code', 'http://127.0.0.1:52163/callback'],
    ['https://chatgpt.com/oauth/client.json', 'ChatGPT', 'https://chatgpt.com/connector_platform_oauth_redirect'],
    ['https://chatgpt.com/oauth/codex/client.json', 'Codex', 'http://127.0.0.1:41239/callback'],
    ['https://vscode.dev/oauth/client-metadata.json', 'Visual Studio Code', 'http://127.0.0.1:51000/'],
    ['https://zed.dev/oauth/client-metadata.json', 'Zed', 'http://127.0.0.1:51000/callback'],
  ] as const;

  test.each(known)('%s is known without the Internet', async (clientId, name, redirectUri) => {
    const sharing = share();
    const { response } = await sharing.open(clientId, { redirect_uri: redirectUri });
    expect(response.status).toBe(200);
    expect(textOf(response.body)).toContain(`Published by ${new URL(clientId).hostname}`);
    expect(textOf(response.body)).toContain(`Allow ${name} to use`);
    const code = await sharing.authorize(clientId, { redirect_uri: redirectUri });
    expect((await sharing.exchange(clientId, code, { redirect_uri: redirectUri })).status).toBe(200);
  });

  test('the one that is fetched wins', async () => {
    const [clientId] = known[0];
    const of = new URL(clientId);
    const { clients } = publish(() => uncached(documentOf({ client_name: 'Claude, renamed' }, of)));
    expect((await clients.find(of, undefined)).name).toBe('Claude, renamed');
  });
});

test('A10 a client that cannot be fetched gets a page; only the terminal is told why', async () => {
  const sharing = share({
    fetchDocument: async () => Promise.reject(new Error('its host is not on the\u001B Internet')),
  });
  const { response } = await sharing.open(url.href);
  expect(response.status).toBe(400);
  expect(textOf(response.body)).toContain('Unknown app');
  expect(response.body).not.toContain('Internet');
  expect(sharing.events).toEqual([
    { kind: 'client_refused', clientId: url.href, reason: expect.stringMatching(/^its host is not on the +Internet$/) },
  ]);
});
