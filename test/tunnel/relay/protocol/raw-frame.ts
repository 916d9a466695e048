/** A frame as docs/tunnel-protocol.md describes it, independent of src: length, type, stream, payload. */
export function rawFrame(type: number, streamId: number, payload: Buffer | string | number = ''): Buffer {
  const content = typeof payload === 'number' ? uint32(payload) : Buffer.from(payload);
  const length = [content.length >> 16, (content.length >> 8) & 0xff, content.length & 0xff];
  return Buffer.concat([Buffer.from([...length, type]), uint32(streamId), content]);
}

function uint32(value: number): Buffer {
  return Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}
