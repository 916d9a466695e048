import type { Guard } from '../auth/guard.ts';
import type { Cors } from './cors.ts';
import { answerJson, refuse } from './json-answer.ts';
import type { McpEndpoint } from './mcp-endpoint.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import { valueOf, valuesOf, type HttpRequest, type HttpResponse } from './message.ts';

/** Where the MCP endpoint is. Some hosted clients call no other path. */
export const mcpPath = '/mcp';

const healthy: Buffer = Buffer.from('{"status":"ok"}');

export interface HandlerOptions {
  readonly guard: Guard;
  readonly cors: Cors;
  readonly mcp: McpEndpoint;
}

/**
 * The one request handler of the process, for the local listener (HTTP/1.1) and for tunnels (HTTP/2): who may come in,
 * and to which endpoint. Everything but the health check and preflights of allowed origins is behind the guard, so that a
 * stranger learns nothing.
 */
export function createHandler({
  guard,
  cors,
  mcp,
}: HandlerOptions): (request: HttpRequest, response: HttpResponse) => void {
  function serve(request: HttpRequest, response: HttpResponse): void {
    // A client that goes away mid-answer; whoever writes the answer learns it from `close`.
    response.on('error', () => {});
    request.on('error', () => {});
    const path = pathOf(request.url ?? '/');
    if (path === '/healthz' && (request.method === 'GET' || request.method === 'HEAD')) {
      answerJson(response, 200, healthy);
      return;
    }
    if (cors.apply(request, response)) return;
    const authority = valueOf(request, ':authority');
    const hosts = authority === undefined ? valuesOf(request, 'host') : [authority];
    if (hosts.length !== 1) {
      const message = hosts.length === 0 ? 'no Host header' : 'more than one Host header';
      refuse(request, response, { status: 400, message });
      return;
    }
    const admission = guard.admit({
      host: hosts[0],
      origin: valueOf(request, 'origin'),
      authorization: valuesOf(request, 'authorization'),
    });
    if ('denial' in admission) {
      const { status, reason, challenge } = admission.denial;
      refuse(request, response, {
        status,
        message: reason,
        ...(challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }),
      });
    } else if (path === mcpPath) {
      mcp.handle(request, response, admission.caller);
    } else {
      refuse(request, response, {
        status: 404,
        message: `there is nothing at this path, the MCP endpoint is ${mcpPath}`,
      });
    }
  }

  const connections = createOneAtATime();
  return (request, response) => {
    if (request.httpVersionMajor > 1) {
      serve(request, response);
    } else {
      const whenAnswered = (callback: () => void): unknown => response.once('close', callback);
      connections.run(request.socket, whenAnswered, () => serve(request, response));
    }
  };
}

function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}
