import {
  assemble,
  branch,
  giveBack,
  i32,
  i8x16,
  ifThen,
  local,
  loop,
  typeI32,
  typeV128,
  unreachable,
  v128,
  type Code,
  type FunctionSource,
} from './wasm.ts';

const blockBytes = 16;
const blockBits = 0xffff;

/** 64 KiB each: one for a piece as a pipe or a socket gives it, and one more. */
const memoryPages = 2;

/** How much a scan takes at once, in bytes; what stops it stands behind. */
export const maxScannedBytes: number = memoryPages * 64 * 1024 - blockBytes;

/** Passes over what is plain in strings of a JSON text, sixteen bytes at a time. */
export interface StringScan {
  /** Takes the text, which stays until the next one: at most `maxScannedBytes`, valid UTF-8. */
  load(text: Uint8Array): void;
  /**
   * @param at where in the text, within a string and not within an escape.
   * @returns the next place that has to be looked at: a quote that ends the string, a control character, the backslash
   * of what is no escape or goes on behind the end, or the end of the text.
   */
  next(at: number): number;
}

/**
 * In WebAssembly, since JavaScript has no instruction for more than four bytes. Returns undefined where there is none:
 * node with `--jitless`, a processor without SIMD, an address space too narrow for its memory.
 */
export function createStringScan(): StringScan | undefined {
  try {
    const { memory, run } = assemble(scanSource(), memoryPages);
    return {
      load(text) {
        memory.set(text);
        // No string goes on here.
        memory.fill(0, text.length, text.length + blockBytes);
      },
      next: run,
    };
  } catch {
    return undefined;
  }
}

const bits = i32.const;

function not(value: Code): Code {
  return i32.xor(value, bits(-1));
}

function isBelow(value: Code, limit: number): Code {
  return i8x16.ltU(value, i8x16.splat(limit));
}

function scanSource(): FunctionSource {
  const at = local(0);
  // Of the block in hand, a bit for each byte that …
  /** … is a backslash. */
  const backslashes = local(1);
  /** … is a quote or a control character. */
  const ends = local(2);
  /** … stands behind a backslash that is not escaped itself. */
  const escaped = local(3);
  /** … is a `u` that is escaped. */
  const letters = local(4);
  /** … has to be a digit, behind such a `u`. */
  const digits = local(5);
  /** … stands where nothing like it can, in an escape. */
  const wrong = local(6);
  /** … has to be looked at. */
  const stops = local(7);
  // What the block before says of the first bytes of this one.
  const escapedBefore = local(8);
  const digitsBefore = local(9);
  const run = local(10);
  const block = local(11);

  const isByte = (character: string): Code => i8x16.eq(block.get, i8x16.splat(character.charCodeAt(0)));
  const isDigit = isBelow(i8x16.sub(block.get, i8x16.splat(0x30)), 10);
  const isDigitAboveNine = isBelow(i8x16.sub(v128.or(block.get, i8x16.splat(0x20)), i8x16.splat(0x61)), 6);
  const isEscapable = ['"', '\\', '/', 'b', 'f', 'n', 'r', 't'].map(isByte).reduce(v128.or);

  // Which backslashes of a run escape: a one that is added where a run begins at an odd place is carried to its end, which
  // tells all runs of a block apart at once (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019, §3.1.1).
  const free = i32.and(backslashes.get, not(escapedBefore.get));
  const behind = i32.or(i32.shl(free, bits(1)), escapedBefore.get);
  const oddStarts = i32.and(i32.and(free, bits(0xaaaa)), not(behind));

  return {
    locals: [
      { count: 10, type: typeI32 },
      { count: 1, type: typeV128 },
    ],
    body: [
      loop(
        block.set(v128.load(at.get)),
        backslashes.set(i8x16.bitmask(isByte('\\'))),
        ends.set(i8x16.bitmask(v128.or(isByte('"'), isBelow(block.get, 0x20)))),
        ifThen(
          i32.or(i32.or(backslashes.get, ends.get), i32.or(escapedBefore.get, digitsBefore.get)),
          run.set(i32.add(free, oddStarts)),
          escaped.set(i32.and(behind, i32.xor(bits(0x5555), i32.shl(run.get, bits(1))))),
          escapedBefore.set(i32.shrU(run.get, bits(blockBytes))),
          wrong.set(i32.and(escaped.get, not(i8x16.bitmask(isEscapable)))),
          ifThen(
            i32.or(wrong.get, digitsBefore.get),
            letters.set(i32.and(escaped.get, i8x16.bitmask(isByte('u')))),
            digits.set([1, 2, 3, 4].map((place) => i32.shl(letters.get, bits(place))).reduce(i32.or, digitsBefore.get)),
            digitsBefore.set(i32.shrU(digits.get, bits(blockBytes))),
            wrong.set(
              i32.or(
                i32.and(wrong.get, not(letters.get)),
                i32.and(digits.get, not(i8x16.bitmask(v128.or(isDigit, isDigitAboveNine)))),
              ),
            ),
          ),
          stops.set(i32.and(i32.or(i32.and(ends.get, not(escaped.get)), wrong.get), bits(blockBits))),
          ifThen(
            stops.get,
            at.set(i32.add(at.get, i32.ctz(stops.get))),
            // A quote or a control character; what is wrong in an escape is told of by its backslash.
            ifThen(i32.eqz(i32.and(i32.shrU(wrong.get, i32.ctz(stops.get)), bits(1))), giveBack(at.get)),
            loop(at.set(i32.sub(at.get, i32.const(1))), ifThen(i32.ne(i32.load8U(at.get), i32.const(0x5c)), branch(1))),
            giveBack(at.get),
          ),
        ),
        at.set(i32.add(at.get, i32.const(blockBytes))),
        branch(0),
      ),
      unreachable,
    ],
  };
}
