// Bytes that are nearly right: valid samples, changed in a few places, with words that matter to those who read them.
import type { Random } from '../../harness/random.ts';

export interface Vocabulary {
  readonly samples: readonly Buffer[];
  /** Inserted and written over what is there. */
  readonly words: readonly Buffer[];
}

const numbers = ['-1', '0', '1', '2147483648', '9007199254740993', '1e400', 'ffffffffffffffff', '0x10', '٣'].map(
  (each) => Buffer.from(each),
);

/** A sample, or what becomes of it by up to five changes. A third stay as they are. */
export function mutant(random: Random, { samples, words }: Vocabulary): Buffer {
  let bytes = random.pick(samples);
  for (let changes = random.below(3) === 0 ? 0 : 1 + random.below(5); changes > 0; changes--) {
    bytes = changed(random, bytes, { samples, words });
  }
  return bytes;
}

function changed(random: Random, bytes: Buffer, { samples, words }: Vocabulary): Buffer {
  const from = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, from + random.below(random.below(4) === 0 ? 400 : 12));
  const put = (middle: Buffer, end = from): Buffer =>
    Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(end)]);
  switch (random.below(8)) {
    case 0:
      return put(random.pick(words));
    case 1:
      return put(random.pick(words), to);
    case 2:
      return put(Buffer.alloc(0), to);
    case 3:
      return put(Buffer.from(Array.from({ length: 1 + random.below(8) }, () => random.below(256))), to);
    case 4:
      return put(bytes.subarray(from, to));
    case 5:
      return bytes.subarray(0, from);
    case 6:
      return put(random.pick(samples).subarray(random.below(40)), to);
    default: {
      // A number becomes another one.
      const [number = ''] = /\d+/.exec(bytes.toString('latin1', from)) ?? [];
      const at = number === '' ? -1 : bytes.indexOf(number, from);
      if (at === -1) return put(random.pick(numbers));
      return Buffer.concat([bytes.subarray(0, at), random.pick(numbers), bytes.subarray(at + number.length)]);
    }
  }
}

/** Texts as bytes; what stands for itself in them is Latin-1. */
export function bytesOf(...texts: readonly string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}
