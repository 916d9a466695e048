// The frames of the tunnel as a hostile agent sends them, byte by byte (docs/tunnel-protocol.md, "Frames").

export const types = { head: 1, data: 2, reset: 3, window: 4 };

/**
 * @param {number} type
 * @param {number} streamId
 * @param {Buffer} [payload]
 */
export function frame(type, streamId, payload = Buffer.alloc(0)) {
  const header = Buffer.alloc(8);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header.writeUInt32BE(streamId, 4);
  return Buffer.concat([header, payload]);
}

/** The head of a response. @param {number} streamId @param {number} status @param {readonly string[]} headers */
export const head = (streamId, status, headers) =>
  frame(types.head, streamId, Buffer.from(JSON.stringify({ status, headers })));
