// HTTP/2 frames and header blocks as a hostile agent sends them, byte by byte.

const endHeaders = 4;

/** Frame types (RFC 9113, section 6). */
export const types = { data: 0, headers: 1, priority: 2, settings: 4, ping: 6, windowUpdate: 8, continuation: 9 };

/**
 * @param {number} type
 * @param {number} flags
 * @param {number} streamId
 * @param {Buffer} [payload]
 */
export function frame(type, flags, streamId, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A whole header block. @param {number} streamId @param {readonly Buffer[]} fields */
export const headers = (streamId, fields) => frame(types.headers, endHeaders, streamId, Buffer.concat(fields));

/** A literal without indexing (RFC 7541, section 6.2.2). @param {string} name @param {string} value */
export const field = (name, value) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);

/** A literal that goes into the table (section 6.2.1). @param {string} name @param {string} value */
export const indexedField = (name, value) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);

/** The newest entry of the table (section 6.1), so often. @param {number} times */
export const newestField = (times) => Buffer.alloc(times, 0x80 | 62);

/** @param {string} value */
function text(value) {
  const bytes = Buffer.from(value, 'latin1');
  const length = [];
  let rest = bytes.length;
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
