import type { Clock } from '../../platform/clock.ts';
import { parseJson, readClientMetadata, type Client } from './client-metadata.ts';
import { newSecret } from './digest.ts';
import type { OAuthEvent } from './events.ts';
import { errorResponse, jsonResponse, type OAuthResponse } from './message.ts';
import type { RateLimit } from './rate-limit.ts';

const clientIdPrefix = 'mcpc_';

/** Registrations that are kept, about 20 KB each at worst; one owner shares with a few. */
const maxRegistrations = 100;

/** Dynamic client registration (RFC 7591), for clients without a metadata document. */
export interface Registrations {
  /** @returns 201 with the new client, which is public: it has no secret, whatever it asked for. */
  register(body: string, address: string | undefined): OAuthResponse;
  find(clientId: string): Client | undefined;
}

export interface RegistrationsOptions {
  readonly clock: Clock;
  readonly rateLimit: RateLimit;
  readonly hasGrant: (clientId: string) => boolean;
  readonly onRegistered: (client: Client) => void;
  readonly onEvent: (event: OAuthEvent) => void;
}

export function createRegistrations(options: RegistrationsOptions): Registrations {
  const { clock, rateLimit, hasGrant, onRegistered, onEvent } = options;
  const clients = new Map<string, Client>();

  /** Without room, the oldest goes that nobody has approved. */
  function add(client: Client): boolean {
    if (clients.size >= maxRegistrations) {
      const oldest = [...clients.keys()].find((id) => !hasGrant(id));
      if (oldest === undefined) return false;
      clients.delete(oldest);
    }
    clients.set(client.id, client);
    return true;
  }

  return {
    register(body, address) {
      const retryAfter = rateLimit.take(address);
      if (retryAfter > 0) {
        return errorResponse(429, 'temporarily_unavailable', 'too many registrations, try again later', {
          'retry-after': String(retryAfter),
        });
      }
      const metadata = readClientMetadata(parseJson(body));
      if (typeof metadata === 'string') return errorResponse(400, 'invalid_client_metadata', metadata);
      const clientName = metadata.name ?? 'unnamed client';
      const [refused] = metadata.refused;
      if (refused !== undefined) {
        onEvent({ kind: 'redirect_uri_refused', clientName, ...refused });
        return errorResponse(400, 'invalid_redirect_uri', `${refused.uri}: ${refused.reason}`);
      }
      const { redirectUris } = metadata;
      const client: Client = { id: newSecret(clientIdPrefix), name: clientName, redirectUris, publisher: undefined };
      if (!add(client)) return errorResponse(503, 'temporarily_unavailable', 'too many clients have access');
      onRegistered(client);
      return jsonResponse(201, {
        client_id: client.id,
        client_id_issued_at: Math.floor(clock.now() / 1000),
        client_name: client.name,
        redirect_uris: redirectUris,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      });
    },
    find: (clientId) => clients.get(clientId),
  };
}
