/** Limits of the link. Both ends use the same ones; docs/tunnel-protocol.md repeats them for other implementers. */

/** Largest control message, in bytes: a hello is about 300 bytes, the rest is room for later fields. */
export const maxControlBytes: number = 16 * 1024;
/** Largest binary message that is sent, in bytes: small enough that a control message is never far behind. */
export const maxDataBytes: number = 64 * 1024;
/** Largest message that is accepted, in bytes: what another implementation may send without being cut off. */
export const maxMessageBytes: number = 256 * 1024;
/** Bytes that may wait in one socket. What waits there cannot be overtaken: 128 KiB on 1 Mbit/s is one second. */
export const maxParkedBytes: number = 128 * 1024;
/** Time for the whole handshake, in milliseconds, at the relay: a socket that says nothing must not stay. */
export const handshakeTimeoutMs = 5_000;
/** Time between two pings, in milliseconds: under the 60 s after which proxies drop a quiet connection. */
export const pingIntervalMs = 15_000;
/** Silence after which the peer counts as gone, in milliseconds: two pings and a late answer. */
export const deadAfterMs = 35_000;
/** A timer that comes this late, in milliseconds, means that the machine slept and the peer gave us up. */
export const sleptAfterMs: number = 2 * deadAfterMs;
/** Flow-control window of one HTTP/2 stream, in bytes: 50 Mbit/s at 80 ms, and what one slow reader can hold. */
export const streamWindowBytes: number = 512 * 1024;
/** Flow-control window of one HTTP/2 connection, in bytes: sixteen streams at full speed. */
export const connectionWindowBytes: number = 8 * 1024 * 1024;
/** Requests of clients that still wait for the end of their answers, at one agent. */
export const maxStreams = 256;
/** Streams at one agent, those included that are over for the client and not yet for HTTP/2. */
export const maxOpenStreams: number = 4 * maxStreams;
/** Interim responses (1xx) to one request. Ours sends none; others send one or two. */
export const maxInterimResponses = 16;
/** What node:http2 may hold for one connection, in MB. Its own 10 is less than 256 streams may rightly queue. */
export const maxSessionMemoryMb = 192;
/** Request and response header block, in bytes: Node's own limit for HTTP/1.1, with room for our own headers. */
export const maxHeaderListBytes: number = 64 * 1024;
/** Headers of one message. Node takes 2000 over HTTP/1.1, but resets an HTTP/2 stream at 128 unless told otherwise. */
export const maxHeaderPairs = 2_048;
/** Public URLs in a welcome. */
export const maxUrls = 16;
/** Length of one public URL or of a sentence from the peer, in characters. */
export const maxTextLength = 2_048;
