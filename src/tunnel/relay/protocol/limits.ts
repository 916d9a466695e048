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
/** Time between two pings of the agent, in milliseconds: less than the 60 s after which proxies close an idle connection. */
export const pingIntervalMs = 15_000;
/**
 * Time after which the relay pings an agent that has not pinged it, in milliseconds. More than pingIntervalMs, so that a relay
 * with thousands of idle agents only answers; little enough that a pong can come before deadAfterMs.
 */
export const relayPingIntervalMs = 20_000;
/** Silence after which the peer counts as dead, in milliseconds: two pings and a late answer. */
export const deadAfterMs = 35_000;
/** A timer that is this late, in milliseconds, means that the machine slept and the peer has given up. */
export const sleptAfterMs: number = 2 * deadAfterMs;
/** Window of one stream, in bytes: 50 Mbit/s at 80 ms, and the most that one slow reader can hold. */
export const streamWindowBytes: number = 512 * 1024;
/** Requests to one agent whose responses have not ended. */
export const maxStreams = 256;
/** Streams that an agent serves at once: more than a relay opens that keeps to maxStreams. */
export const maxOpenStreams: number = 4 * maxStreams;
/** Largest head of a request or response, in bytes of JSON: Node's own limit for HTTP/1.1 is 16 KiB. Fits into one message. */
export const maxHeadBytes: number = maxDataBytes - 8;
/** Headers of one request or response: the 1,000 that the relay takes from a client, and its own. */
export const maxHeaders = 1_024;
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
