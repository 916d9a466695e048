import { randomBytes } from 'node:crypto';

import type { RequestHandler } from '../provider.ts';

/** Identifies a request of the self-probe. */
export const markerHeader = 'x-mcp-expose-probe';

/** A request of the self-probe that has been sent. */
export interface Mark {
  /** Known to nobody else. */
  readonly nonce: string;
  /** Whether it has reached our end of the tunnel. */
  hasArrived(): boolean;
  /** Status of the response at our end; undefined while there is none. */
  answered(): number | undefined;
  /** All values of a header with which it arrived; none before it has. */
  carried(name: string): readonly string[];
  forget(): void;
}

export type MarkerResponse = RequestHandler;

/**
 * Wraps the handler at our end of a tunnel and recognises our own requests that come back through it. That proves that a public
 * URL leads here, without showing the token to whatever answers there.
 */
export interface ProbeMarker {
  readonly handler: RequestHandler;
  /**
   * Whether a request is the one that was expected: of several with the same nonce the first, since whatever answers at the
   * public URL learns the nonce.
   */
  isExpected(request: object): boolean;
  /**
   * Expects a request.
   * @param answer responds instead of the handler, for checks of the tunnel alone.
   */
  expect(answer?: MarkerResponse): Mark;
}

interface ExpectedMark {
  /** The request that has arrived, and the response to it. */
  request: Parameters<RequestHandler>[0] | undefined;
  response: Parameters<RequestHandler>[1] | undefined;
  readonly answer: MarkerResponse | undefined;
}

/** @param replica as in `TunnelProvider`. */
export function createProbeMarker(handler: RequestHandler, replica?: string): ProbeMarker {
  const expected = new Map<string, ExpectedMark>();
  return {
    handler(request, response) {
      const nonce = request.headers[markerHeader];
      const mark = typeof nonce === 'string' ? expected.get(nonce) : undefined;
      if (mark !== undefined && mark.request === undefined) Object.assign(mark, { request, response });
      (mark?.answer ?? handler)(request, response);
    },
    isExpected(request) {
      for (const mark of expected.values()) if (mark.request === request) return true;
      return false;
    },
    expect(answer) {
      const random = randomBytes(16).toString('hex');
      const nonce = replica === undefined ? random : `${replica}.${random}`;
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

/** From alternating names and values: of a repeated header, the `headers` object of Node.js has only the first. */
function valuesIn(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}
