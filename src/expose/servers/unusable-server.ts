import type { ExposeError } from '../../errors.ts';
import type { ServedServer } from '../../http/directory.ts';
import { refuse } from '../../http/responses/json-response.ts';
import type { HttpRequest, HttpResponse } from '../../http/message.ts';
import { rpcCode } from '../../mcp/json-rpc.ts';

/** Replaces a server that cannot be used: every request gets the reason. */
export function createUnusableServer(name: string, { code, message }: ExposeError): ServedServer {
  const handle = (request: HttpRequest, response: HttpResponse): void =>
    refuse(request, response, { status: 503, code: rpcCode.internalError, message, data: { reason: code } });
  return {
    name,
    mcp: { handle },
    sse: { handle, handleMessage: handle },
    readiness: async () => ({ status: 'down', reason: message, sessions: 0, children: 0, restarts: 0 }),
  };
}
