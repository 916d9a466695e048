import { messageOf } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { networkErrorWords } from '../../platform/net/network-errors.ts';
import { toSingleLine } from '../../platform/text/sanitize.ts';
import type { FetchDocument } from './client-documents.ts';
import { isRecord, parseJson, readClientMetadata, type Client } from './client-metadata.ts';
import { knownClients } from './known-clients.ts';
import type { RateLimit } from './rate-limit.ts';

/** Documents that are kept, at most about 20 KB each. */
const maxDocuments = 100;

/** Life of a document that does not say how long it may be cached, in seconds, and the longest of any. */
const defaultAgeSeconds = 300;
const maxAgeSeconds: number = 24 * 3600;

/** Documents that are fetched at once: strangers could use this machine to call others. */
const maxFetches = 8;

/** Clients that are identified by the URL of their metadata document (CIMD). */
export interface PublishedClients {
  /** @throws an Error whose message says why the document cannot be used. */
  find(url: URL, address: string | undefined): Promise<Client>;
  /** Ends the requests that are being made. */
  close(): void;
}

export interface PublishedClientsOptions {
  readonly clock: Clock;
  readonly fetchDocument: FetchDocument;
  readonly rateLimit: RateLimit;
}

export function createPublishedClients(options: PublishedClientsOptions): PublishedClients {
  const { clock, fetchDocument, rateLimit } = options;
  const cache = new Map<string, { readonly client: Client; readonly expiresAt: number }>();
  const fetches = new Map<string, Promise<Client>>();
  const closing = new AbortController();

  async function fetchClient(url: URL): Promise<Client> {
    const { text, cacheControl } = await fetchDocument(url, closing.signal);
    const client = readDocument(url, text);
    const ageSeconds = maxAgeOf(cacheControl);
    if (ageSeconds > 0) {
      cache.delete(url.href);
      const [oldest] = cache.keys();
      if (cache.size >= maxDocuments && oldest !== undefined) cache.delete(oldest);
      cache.set(url.href, { client, expiresAt: clock.now() + ageSeconds * 1000 });
    }
    return client;
  }

  /** One request for everybody who waits for the same document. */
  function fetchOnce(url: URL, address: string | undefined): Promise<Client> {
    const running = fetches.get(url.href);
    if (running !== undefined) return running;
    if (fetches.size >= maxFetches || rateLimit.take(address) > 0) {
      return Promise.reject(new Error('too many documents were asked for, try again later'));
    }
    const started = fetchClient(url).finally(() => fetches.delete(url.href));
    fetches.set(url.href, started);
    return started;
  }

  return {
    async find(url, address) {
      const cached = cache.get(url.href);
      if (cached !== undefined && clock.now() < cached.expiresAt) return cached.client;
      try {
        return await fetchOnce(url, address);
      } catch (error) {
        const known = knownClients.get(url.href);
        if (known !== undefined) return known;
        // Also what a server or the system says; never more than a line of it.
        throw new Error(toSingleLine(networkErrorWords(error) ?? messageOf(error)), { cause: error });
      }
    },
    close: () => closing.abort(new Error('the authorization server was closed')),
  };
}

/** draft-ietf-oauth-client-id-metadata-document §4.1. */
function readDocument(url: URL, text: string): Client {
  const json = parseJson(text);
  const metadata = readClientMetadata(json);
  if (typeof metadata === 'string') throw new Error(metadata);
  if (!isRecord(json) || json['client_id'] !== url.href) throw new Error('its client_id is not its URL');
  // A document is public, so that it cannot hold a secret.
  if ('client_secret' in json || String(json['token_endpoint_auth_method']).startsWith('client_secret')) {
    throw new Error('it has a client secret');
  }
  if (metadata.name === undefined) throw new Error('it has no client_name');
  // One that may not be used is left out, since the client may never send it.
  if (metadata.redirectUris.length === 0) throw new Error('none of its redirect_uris is allowed');
  return { id: url.href, name: metadata.name, redirectUris: metadata.redirectUris, publisher: url.host };
}

/** How long a document may be cached, in seconds (RFC 9111 §5.2.2). */
function maxAgeOf(cacheControl: string | undefined): number {
  if (cacheControl === undefined) return defaultAgeSeconds;
  if (/(?:^|[\s,])no-(?:store|cache)(?=$|[\s,=])/i.test(cacheControl)) return 0;
  const [, seconds] = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(cacheControl) ?? [];
  return seconds === undefined ? defaultAgeSeconds : Math.min(maxAgeSeconds, Number(seconds));
}
