import { memberOf, type RpcRequest } from '../../mcp/json-rpc.ts';
import { withServedRevision } from '../../mcp/lifecycle.ts';
import type { PendingRequest, CallFailure, ListeningStream } from './pending-request.ts';
import { callFailure } from './call-failures.ts';
import { Channel } from './channel.ts';
import { createStandaloneStream } from './standalone-stream.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** A legacy client's connection to its own upstream, from `initialize` to the end of either. */
export interface Session extends Pick<
  Channel,
  'isBusy' | 'isAwaited' | 'traffic' | 'isWritable' | 'whenWritable' | 'request' | 'forward'
> {
  readonly id: string;
  /** The caller who opened it; nobody else may use it. */
  readonly callerId: string;
  /** Whether a policy or an approval may refuse its calls. */
  readonly isRestricted: boolean;
  /** The revision that client and server agreed on, once they have. */
  readonly revision: string | undefined;
  /** Whether the client listens for messages that belong to no request. */
  isListening(): boolean;
  /** Starts the upstream and hands it the client's `initialize` as it came. The outcome goes to `call`. Called once. */
  open(initialize: RpcRequest, call: PendingRequest): void;
  /** Adds a stream for messages that belong to no request. */
  listen(stream: ListeningStream): void;
  /** Calls back when the session is over, for whatever reason; at once when it is. */
  whenOver(callback: () => void): void;
  /** Ends the session and its upstream; resolves when nothing of it is left. @param failure as in `Channel`. */
  close(failure?: CallFailure): Promise<void>;
}

export interface SessionOptions {
  readonly id: string;
  readonly callerId: string;
  readonly upstream: Upstream;
  readonly isRestricted: boolean;
  /** How long the server may take to answer `initialize`. */
  readonly startTimeoutMs: number;
  /** Both sides have agreed: the session can be used from now on, unless the answer is false: there is no room for it. */
  readonly onOpen: () => boolean;
  /** It is over, for whatever reason. Called once. */
  readonly onEnd: () => void;
  /** The server has not answered `initialize` in time. */
  readonly onSilent?: ((reason: string) => void) | undefined;
  readonly onWarning: (message: string) => void;
}

export function createSession(options: SessionOptions): Session {
  const { id, callerId, upstream, isRestricted, startTimeoutMs, onOpen, onEnd, onWarning } = options;
  let revision: string | undefined;
  let isClosing = false;
  let ended = false;
  const onOver: (() => void)[] = [];

  let warned = false;
  const standalone = createStandaloneStream((message) => {
    if (!warned) onWarning(`a client does not listen, messages for it are dropped, the first is ${message.method}`);
    warned = true;
    if (message.kind === 'request') channel.giveUp(message);
  });
  const channel = new Channel({
    upstream,
    standalone,
    onClose({ reason }) {
      if (!isClosing && !ended && revision !== undefined) onWarning(`${reason}; the session that used it is over`);
      end();
    },
  });
  let startTimeout: NodeJS.Timeout | undefined;

  function end(): void {
    if (ended) return;
    ended = true;
    clearTimeout(startTimeout);
    standalone.end();
    for (const callback of onOver) callback();
    onEnd();
  }

  function close(failure?: CallFailure): Promise<void> {
    isClosing = true;
    // Calls are told before their streams end.
    const closed = channel.close(failure);
    end();
    return closed;
  }

  function open(initialize: RpcRequest, call: PendingRequest): void {
    startTimeout = setTimeout(() => {
      const message = `the server did not answer initialize within ${startTimeoutMs / 1000} s`;
      options.onSilent?.(message);
      opening.fail(callFailure('upstream_silent', message));
    }, startTimeoutMs);

    /** Watches how `initialize` ends, since that decides whether there is a session. */
    const opening: PendingRequest = {
      isOpen: () => call.isOpen(),
      isResponseOnly: call.isResponseOnly,
      send: (message) => call.send(message),
      whenWritable: (callback) => call.whenWritable(callback),
      whenGone: (callback) => call.whenGone(callback),
      finish(response) {
        const agreed = memberOf(response.json['result'], 'protocolVersion');
        // A client that has gone would never learn the session's id.
        if (ended || typeof agreed !== 'string' || !call.isOpen()) {
          void close();
          return call.finish(response);
        }
        clearTimeout(startTimeout);
        if (!onOpen()) {
          opening.fail(noRoom);
          return true;
        }
        revision = agreed;
        return call.finish(response);
      },
      fail(failure) {
        call.fail(failure);
        void close();
      },
      end() {
        call.end();
        void close();
      },
    };
    // It holds a place that others want, and a server that may take a minute to start.
    call.whenGone(() => {
      if (revision === undefined && !call.isOpen()) void close();
    });
    channel.start();
    channel.request(withServedRevision(initialize), opening);
  }

  return {
    id,
    callerId,
    isRestricted,
    get revision() {
      return revision;
    },
    isBusy: () => channel.isBusy(),
    isAwaited: () => channel.isAwaited(),
    traffic: () => channel.traffic(),
    isListening: standalone.isOpen,
    open,
    isWritable: () => channel.isWritable(),
    whenWritable: (callback) => channel.whenWritable(callback),
    request: (request, call) => channel.request(request, call),
    forward: (message) => channel.forward(message),
    listen(stream) {
      standalone.attach(stream);
      stream.whenGone(() => channel.lostListener());
      channel.recover();
    },
    whenOver(callback) {
      if (ended) callback();
      else onOver.push(callback);
    },
    close,
  };
}

/** Others have taken the places while the server started. */
const noRoom: CallFailure = callFailure('too_many_sessions', 'there are too many sessions');
