import { describe, expect, test } from 'vitest';
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
} from '../../../src/mcp/json/wasm.ts';

const argument = local(0).get;

/** What the expression is worth, for an argument. */
function valueOf(expression: Code, given = 0): number {
  return assemble({ locals: [], body: [expression] }, 1).run(given);
}

const edges = [0, 1, 63, 64, 127, 128, 8191, 8192, 0xffff, 1_048_576, 2 ** 31 - 1];

describe('numbers', () => {
  test.each([...edges, ...edges.map((value) => -value), -65, -8193, -(2 ** 31)])('%d is written as it is', (value) => {
    expect(valueOf(i32.const(value))).toBe(value === 0 ? 0 : value);
  });

  test('are computed with', () => {
    for (const left of edges) {
      for (const right of edges) {
        const both = (operator: (a: Code, b: Code) => Code) => valueOf(operator(argument, i32.const(right)), left);
        expect([left, right, both(i32.add)]).toEqual([left, right, (left + right) | 0]);
        expect(both(i32.sub)).toBe((left - right) | 0);
        expect(both(i32.and)).toBe(left & right);
        expect(both(i32.or)).toBe(left | right);
        expect(both(i32.xor)).toBe(left ^ right);
        expect(both(i32.ne)).toBe(Number(left !== right));
      }
      for (const count of [0, 1, 16, 31]) {
        expect(valueOf(i32.shl(argument, i32.const(count)), left)).toBe(left << count);
        expect(valueOf(i32.shrU(argument, i32.const(count)), -left)).toBe((-left >>> count) | 0);
      }
      expect(valueOf(i32.eqz(argument), left)).toBe(Number(left === 0));
      expect(valueOf(i32.ctz(argument), left)).toBe(left === 0 ? 32 : 31 - Math.clz32(left & -left));
    }
  });
});

describe('what is in memory', () => {
  const bytes = [0, 1, 9, 10, 31, 32, 34, 92, 127, 128, 200, 255, 5, 6, 7, 8];

  /** Has the bit of each byte for which the expression is true, of sixteen that stand at 3 in memory. */
  function bitsOf(expression: (block: Code) => Code): number {
    const { memory, run } = assemble({ locals: [], body: [i8x16.bitmask(expression(v128.load(argument)))] }, 1);
    memory.set(bytes, 3);
    return run(3);
  }

  const bitsWhere = (isTrue: (byte: number) => boolean) =>
    bytes.reduce((sum, byte, place) => sum + (isTrue(byte) ? 2 ** place : 0), 0);

  test('is compared sixteen at a time, without signs', () => {
    for (const limit of bytes) {
      const splat = i8x16.splat(limit);
      expect(bitsOf((block) => i8x16.eq(block, splat))).toBe(bitsWhere((byte) => byte === limit));
      expect(bitsOf((block) => i8x16.ltU(block, splat))).toBe(bitsWhere((byte) => byte < limit));
      expect(bitsOf((block) => i8x16.sub(block, splat))).toBe(bitsWhere((byte) => ((byte - limit) & 0x80) !== 0));
      expect(bitsOf((block) => v128.or(block, splat))).toBe(bitsWhere((byte) => ((byte | limit) & 0x80) !== 0));
    }
  });

  test('is read byte by byte, up to its end', () => {
    const { memory, run } = assemble({ locals: [], body: [i32.load8U(argument)] }, 2);
    expect(memory).toHaveLength(2 * 65_536);
    memory[131_071] = 200;
    expect(run(131_071)).toBe(200);
    expect(() => run(131_072)).toThrow(/out of bounds/);
  });
});

test('a loop goes on as long as its body says, with variables that begin at zero', () => {
  const [count, sum, block] = [local(0), local(1), local(2)];
  const body = [
    block.set(i8x16.splat(1)),
    loop(
      sum.set(i32.add(sum.get, i32.and(i8x16.bitmask(i8x16.eq(block.get, i8x16.splat(1))), i32.const(1)))),
      ifThen(i32.eqz(count.get), giveBack(sum.get)),
      count.set(i32.sub(count.get, i32.const(1))),
      branch(0),
    ),
    unreachable,
  ];
  const locals = [
    { count: 1, type: typeI32 },
    { count: 1, type: typeV128 },
  ];
  const { run } = assemble({ locals, body }, 1);
  expect([run(0), run(1), run(41)]).toEqual([1, 2, 42]);
});

test('what no machine can take is refused', () => {
  expect(() => assemble({ locals: [], body: [i32.add(argument, [])] }, 1)).toThrow(/CompileError|WebAssembly/);
});
