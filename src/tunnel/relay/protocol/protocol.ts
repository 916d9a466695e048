/** The wire protocol between agent and relay, as docs/tunnel-protocol.md describes it. */

/** WebSocket subprotocol; changes with every incompatible change. */
export const protocolVersion = 'mcp-expose.v1';
/** Path at which a relay accepts agents, below its own URL. */
export const tunnelPath = '/_mcp-expose/v1/tunnel';
/** Response header that identifies a relay that refuses an upgrade, with the versions that it speaks. */
export const versionsHeader = 'mcp-expose-versions';

export interface Hello {
  readonly type: 'hello';
  readonly versions: readonly string[];
  /** Name and version of the agent's program, for logs. */
  readonly agent: string;
  /** Raw 32-byte Ed25519 public key, base64url. */
  readonly publicKey: string;
  /**
   * `replica` is an id that the agent's process has chosen: with it, it shares the name with agents of the same key that have
   * other ids.
   */
  readonly want: { readonly name?: string; readonly replica?: string };
  /** Sent by an agent that can resume: the session whose socket it has lost, or an empty one. */
  readonly resume?: { readonly session: string; readonly received: number };
}

export interface Challenge {
  readonly type: 'challenge';
  /** 32 random bytes, base64url. */
  readonly nonce: string;
}

export interface Proof {
  readonly type: 'proof';
  /** 64-byte Ed25519 signature, base64url; over what `proofPayload` in identity.ts returns. */
  readonly signature: string;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly session: string;
  /** Grows with every takeover of the name. */
  readonly epoch: number;
  readonly name: string;
  /** Public base URLs without a trailing slash; the first is the one to show. */
  readonly urls: readonly string[];
  /** How long the relay keeps the session after a lost connection; 0 means that it does not resume. */
  readonly resumeMs: number;
  readonly heartbeatMs: number;
  readonly limits: { readonly streams: number };
  /** Bytes of the resumed session that the relay has received; missing in a new session. */
  readonly received?: number;
}

export const rejectCodes = ['auth', 'name_taken', 'name_reserved', 'version', 'quota', 'draining'] as const;
export type RejectCode = (typeof rejectCodes)[number];

export interface Reject {
  readonly type: 'reject';
  /** One of `rejectCodes`; a newer relay may send others. */
  readonly code: string;
  readonly message: string;
  /** Whether the same hello may be accepted later. */
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

/** Bytes of the pipe received so far; only meaningful where `resumeMs` is not 0. */
export interface Ack {
  readonly type: 'ack';
  readonly received: number;
}

export interface Notice {
  readonly type: 'notice';
  readonly kind: string;
  /** A message for the agent's user. */
  readonly message?: string;
}

/**
 * From a relay that is about to stop: dial a new connection, then let this one finish. From an agent that leaves: send it no new
 * requests.
 */
export interface Goaway {
  readonly type: 'goaway';
}

export type AgentMessage = Hello | Proof | Ack | Goaway;
export type RelayMessage = Challenge | Welcome | Reject | Ack | Notice | Goaway;

/** Close codes of the WebSocket. 4000 to 4999 are for private use (RFC 6455, section 7.4.2). */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 4000,
  handshakeTimeout: 4001,
  takenOver: 4002,
  rejected: 4003,
  silent: 4004,
} as const;

/** Lost without a close frame, or closed by a proxy in between that stops or fails (RFC 6455, section 7.4.1, and IANA's list). */
const lostCodes: ReadonlySet<number> = new Set([1001, 1006, 1011, 1012, 1013, 1014]);

/** Whether a WebSocket that ended with this code may have been lost against the will of its ends, so that it can be resumed. */
export function isLost(code: number): boolean {
  return lostCodes.has(code);
}

/** One control message as it goes over the wire. */
export function encodeMessage(message: AgentMessage | RelayMessage): string {
  return JSON.stringify(message);
}
