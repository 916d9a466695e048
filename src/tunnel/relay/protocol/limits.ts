/** Limits of a connection. Both ends use the same ones; docs/tunnel-protocol.md repeats them for other implementers. */

/** Largest control message, in bytes: a hello is about 300 bytes, the rest is room for later fields. */
export const maxControlBytes: number = 16 * 1024;
/** Largest binary message that is sent, in bytes: small, so that a control message does not wait long behind it. */
export const maxDataBytes: number = 64 * 1024;
/** Largest message that is accepted, in bytes: another implementation may send more than ours at once. */
export const maxMessageBytes: number = 256 * 1024;
/** Bytes that may wait in one socket. A control message waits behind them: 128 KiB on 1 Mbit/s is one second. */
export const maxParkedBytes: number = 128 * 1024;
/** Time for the whole handshake at the relay, in milliseconds: a silent socket must not stay open. */
export const handshakeTimeoutMs = 5_000;
/** Time between two pings, in milliseconds: less than the 60 s after which proxies close an idle connection. */
export const pingIntervalMs = 15_000;
/** Silence after which the peer counts as dead, in milliseconds: two pings and a late answer. */
export const deadAfterMs = 35_000;
/** A timer that is this late, in milliseconds, means that the machine slept and the peer has given up. */
export const sleptAfterMs: number = 2 * deadAfterMs;
/** Flow-control window of one HTTP/2 stream, in bytes: 50 Mbit/s at 80 ms, and the most that one slow reader can hold. */
export const streamWindowBytes: number = 512 * 1024;
/** Flow-control window of one HTTP/2 connection, in bytes: sixteen streams at full speed. */
export const connectionWindowBytes: number = 8 * 1024 * 1024;
/** Requests to one agent whose responses have not ended. */
export const maxStreams = 256;
/** Streams at one agent, including those that have ended for the client and not yet for HTTP/2. */
export const maxOpenStreams: number = 4 * maxStreams;
/** Interim responses (1xx) to one request. Our own agent sends none; others send one or two. */
export const maxInterimResponses = 16;
/**
 * What node:http2 may count as buffered for one connection, in MB: without limit. It also counts what streams had not sent when
 * they were reset, and never stops, so that clients that give up large bodies would use up any limit. Windows, the number of
 * streams and the budgets for frames and headers bound what is really buffered.
 */
export const maxSessionMemoryMb = 4_000_000;
/** Request and response header block, in bytes: Node's own limit for HTTP/1.1, with room for our own headers. */
export const maxHeaderListBytes: number = 64 * 1024;
/** Headers of one message. Node accepts 2000 over HTTP/1.1, but by default resets an HTTP/2 stream with more than 128. */
export const maxHeaderPairs = 2_048;
/** Public URLs in a welcome. */
export const maxUrls = 16;
/** Length of one public URL or message of the peer, in characters. */
export const maxTextLength = 2_048;
/** How long a relay keeps a session whose socket is lost, in milliseconds: a network that changes or a laptop that wakes up. */
export const defaultResumeMs = 30_000;
/** Bytes after which they are acknowledged, and the longest time before that, in milliseconds. */
export const ackBytes: number = 64 * 1024;
export const ackMs = 200;
/**
 * Bytes that are kept until the peer acknowledges them, and what each message counts in addition, for the memory of its buffer.
 * A full buffer stops the writer: 4 MiB are 50 MB/s at 80 ms.
 */
export const maxReplayBytes: number = 4 * 1024 * 1024;
export const replayMessageCost = 256;
/**
 * Bytes that are read from the socket while HTTP/2 does not read because it writes. Less than the windows allow would deadlock:
 * both ends would wait for the other's acknowledgement and read nothing.
 */
export const maxUnreadBytes: number = 2 * connectionWindowBytes;
