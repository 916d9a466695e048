import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

import type { RequestHandler } from '../provider.ts';

/** In which a request of ours says which one it is. */
export const markerHeader = 'x-mcp-expose-probe';

/** A request of ours that is on its way round. */
export interface Mark {
  /** Nobody else can know it. */
  readonly nonce: string;
  /** Whether it has come in at our end of the tunnel. */
  hasArrived(): boolean;
  /** Status of what was answered at our end; undefined as long as nothing was. */
  answered(): number | undefined;
  /** The values of a header as it has come in, one for each time; none as long as nothing has. */
  carried(name: string): readonly string[];
  /** It is not waited for any more. */
  forget(): void;
}

export type MarkerResponse = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

/**
 * Stands in front of the handler at our end of a tunnel and notices requests of our own that come back through it, which
 * tells for certain that a public URL leads here, without showing the token to whatever answers there.
 */
export interface ProbeMarker {
  readonly handler: RequestHandler;
  /**
   * Expects a request.
   * @param answer takes the place of the handler's; for what is to be learnt of the way alone.
   */
  expect(answer?: MarkerResponse): Mark;
}

interface ExpectedMark {
  /** What has arrived, and what answers it. */
  request: IncomingMessage | Http2ServerRequest | undefined;
  response: ServerResponse | Http2ServerResponse | undefined;
  readonly answer: MarkerResponse | undefined;
}

export function createProbeMarker(handler: RequestHandler): ProbeMarker {
  const expected = new Map<string, ExpectedMark>();
  return {
    handler(request, response) {
      const nonce = request.headers[markerHeader];
      const mark = typeof nonce === 'string' ? expected.get(nonce) : undefined;
      if (mark !== undefined) Object.assign(mark, { request, response });
      (mark?.answer ?? handler)(request, response);
    },
    expect(answer) {
      const nonce = randomBytes(16).toString('hex');
      const mark: ExpectedMark = { request: undefined, response: undefined, answer };
      expected.set(nonce, mark);
      return {
        nonce,
        hasArrived: () => mark.response !== undefined,
        answered: () => (mark.response?.headersSent === true ? mark.response.statusCode : undefined),
        carried: (name) => valuesIn(mark.request?.rawHeaders ?? [], name),
        forget: () => void expected.delete(nonce),
      };
    },
  };
}

/** From names and values by turns: where a header comes twice, the object of Node.js shows the first alone. */
function valuesIn(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}
