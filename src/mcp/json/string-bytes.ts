// What the bytes of a JSON string can be (RFC 8259 §7), each a table that has 1 in the places of such bytes.

/** The bytes below this are control characters. */
const firstCharacter = 0x20;

/** What does not stand for itself in a string: what ends it, what begins an escape, and what it may not hold. */
export const marks: Uint8Array = tableOf(`"\\${String.fromCharCode(...Array(firstCharacter).keys())}`);

/** What may follow a backslash, but for the `u` of `\u0000`. */
export const escapable: Uint8Array = tableOf('"\\/bfnrt');

/** What follows that `u`, four times. */
export const hexDigits: Uint8Array = tableOf('0123456789abcdefABCDEF');

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(characters)) table[byte] = 1;
  return table;
}
