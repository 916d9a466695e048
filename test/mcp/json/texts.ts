// JSON texts of all sorts, and such as are nearly JSON.
import type { Random } from '../../harness/random.ts';

const strings = [
  '',
  'x',
  'id',
  'é€😀',
  '"',
  '\\',
  'a\nb',
  '\u0001',
  '_meta',
  'a longer text, of which there are many',
  'a text that is longer than what is read byte by byte: it has "quotes", \\ and é in it, and a line\nor two of them',
  `${'x'.repeat(300)}"${'y'.repeat(100)}`,
  '\u2028',
];
const numbers = [0, 1, -1, 12, 1.5, -0.25, 1e21, 5e-7, 123_456_789_012_345, 1_234_567_890_123_456];
const spoilers = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  ' ',
  '0',
  '-',
  '.',
  'e',
  'E',
  '+',
  'u',
  'n',
  'true',
  'null',
  '\u0000',
];

export function randomValue(random: Random, depth = 3): unknown {
  const kind = random.below(depth === 0 ? 4 : 6);
  switch (kind) {
    case 0:
      return random.pick([true, false, null]);
    case 1:
      return random.pick(numbers);
    case 2:
    case 3:
      return random.pick(strings);
    case 4:
      return Array.from({ length: random.below(4) }, () => randomValue(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(strings), randomValue(random, depth - 1)]),
      );
  }
}

/** With blanks between its parts, or without. */
export function written(value: unknown, random: Random): string {
  const text = JSON.stringify(value);
  return random.below(3) === 0 ? text.replaceAll(/("(?:\\.|[^"\\])*")|([,:{}[\]])/g, '$1 $2 ').trim() : text;
}

/** The text with a few characters changed, and often enough with none. */
export function spoiled(text: string, random: Random): string {
  let result = text;
  for (let change = random.below(3); change > 0; change--) {
    const at = random.below(result.length + 1);
    const removed = random.below(3);
    const added = random.below(2) === 0 ? random.pick(spoilers) : '';
    result = result.slice(0, at) + added + result.slice(at + removed);
  }
  // A character that was cut in two is none.
  return Buffer.from(result).toString();
}
