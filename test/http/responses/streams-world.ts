// Event streams between our side and a client, over real connections that the test can cut.
import { createDeferred } from '../../../src/platform/deferred.ts';
import { EventStream } from '../../../src/http/responses/event-stream.ts';
import type { HttpResponse } from '../../../src/http/message.ts';
import { within } from '../../harness/eventually.ts';
import { startWeb, type Answer, type Protocol } from '../web.ts';

export interface Connected {
  readonly ours: EventStream;
  /** The client's side, once the first byte has come. */
  readonly theirs: Promise<Answer>;
  readonly closed: Promise<void>;
}

/** Each call opens another connection from one client. */
export async function connections(protocol: Protocol): Promise<() => Promise<Connected>> {
  let onRequest: ((response: HttpResponse) => void) | undefined;
  const web = await startWeb(protocol, (_request, response) => {
    response.on('error', () => {});
    onRequest?.(response);
  });
  return async () => {
    const begun = createDeferred<Omit<Connected, 'theirs'>>();
    onRequest = (response) => {
      const ours = new EventStream(response);
      const closed = new Promise<void>((resolve) => {
        ours.whenClosed(resolve);
      });
      begun.resolve({ ours, closed });
    };
    const theirs = web.ask();
    return { ...(await within(15_000, 'the request', begun.promise)), theirs };
  };
}

/** The events of an event stream as `id data`, priming events and comments included. */
export function linesIn(stream: string): string[] {
  return stream.split('\n\n').flatMap((event) => {
    if (event === '') return [];
    if (event.startsWith(':')) return [event];
    const field = (name: string): string | undefined =>
      event
        .split('\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    return [[field('id'), field('retry'), field('data')].filter((part) => part !== undefined).join(' ')];
  });
}
