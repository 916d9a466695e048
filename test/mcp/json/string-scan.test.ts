import { afterEach, describe, expect, test, vi } from 'vitest';
import { createStringScan, maxScannedBytes, type StringScan } from '../../../src/mcp/json/string-scan.ts';

function created(): StringScan {
  const scan = createStringScan();
  if (scan === undefined) throw new Error('there is no WebAssembly');
  return scan;
}

const scan = created();

/** Where the scan stops first in this text. */
function stopIn(text: string | Uint8Array, at = 0): number {
  scan.load(Buffer.from(text));
  return scan.next(at);
}

/** The same, as slowly and plainly as can be. */
function plainStopIn(text: string): number {
  for (let at = 0; at < text.length;) {
    const [escape] = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at, at + 6)) ?? [];
    if (escape === undefined && (/^["\\]/.test(text.slice(at)) || text.charCodeAt(at) < 0x20)) return at;
    at += escape?.length ?? 1;
  }
  return text.length;
}

describe('a scan', () => {
  test('stops at each byte that may not stand in a string, and at no other, wherever it stands', () => {
    for (let byte = 0; byte < 256; byte++) {
      const isPassed = byte >= 0x20 && byte !== 0x22 && byte !== 0x5c;
      for (let place = 0; place < 34; place++) {
        const text = Buffer.alloc(40, 'x');
        text[place] = byte;
        expect([byte, place, stopIn(text)]).toEqual([byte, place, isPassed ? 40 : place]);
      }
    }
  });

  test.each(['\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\u00e9', '\\uD83D', '\\uabcdef'])(
    'passes over %s, wherever it stands',
    (escape) => {
      for (let place = 0; place < 34; place++) {
        const text = `${'x'.repeat(place)}${escape}x`;
        expect([place, stopIn(text)]).toEqual([place, text.length]);
        expect(stopIn(`${text}"`)).toBe(text.length);
        // Cut anywhere within the escape, it is left to whoever sees the rest.
        const [whole = ''] = /^\\(?:u.{4}|.)/.exec(escape) ?? [];
        for (let cut = 1; cut < whole.length; cut++) {
          expect(stopIn(`${'x'.repeat(place)}${escape.slice(0, cut)}`)).toBe(place);
        }
      }
    },
  );

  test.each([
    '\\x',
    '\\N',
    '\\0',
    '\\é',
    '\\u',
    '\\ug000',
    '\\u0g00',
    '\\u00g0',
    '\\u000g',
    '\\u12"',
    '\\u\\u0041',
    '\\U',
  ])('stops at the backslash of %s, wherever it stands', (wrong) => {
    for (let place = 0; place < 34; place++) {
      expect([place, stopIn(`${'x'.repeat(place)}${wrong}${'x'.repeat(20)}`)]).toEqual([place, place]);
    }
  });

  test('tells which backslash of a run escapes, whatever its length and place', () => {
    for (let place = 0; place < 18; place++) {
      for (let run = 1; run < 40; run++) {
        const text = `${'x'.repeat(place)}${'\\'.repeat(run)}"`;
        expect([place, run, stopIn(text)]).toEqual([place, run, run % 2 === 0 ? text.length - 1 : text.length]);
      }
    }
  });

  test('stops where it should in texts of all sorts', () => {
    const parts = ['x', 'xxxxxxx', '\\', '\\\\', '"', 'u', 'n', '\\u00', '\\u00ff', '\\n', 'F', '0', ' ', '\n'];
    let seed = 7;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let stopped = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = Array.from({ length: next(30) }, () => parts[next(next(4) === 0 ? parts.length : 2)]).join('');
      const stop = stopIn(text);
      expect([text, stop]).toEqual([text, plainStopIn(text)]);
      if (stop < text.length) stopped++;
    }
    expect(stopped).toBeGreaterThan(5000);
    expect(stopped).toBeLessThan(15_000);
  });

  test('goes on from where it is told, and forgets the text before', () => {
    scan.load(Buffer.from(`${'x'.repeat(1000)}"${'y'.repeat(1000)}"`));
    expect(scan.next(0)).toBe(1000);
    expect(scan.next(1001)).toBe(2001);
    expect(stopIn('')).toBe(0);
    expect(stopIn('\\')).toBe(0);
  });

  test('takes as much at once as it says', () => {
    expect(stopIn(Buffer.alloc(maxScannedBytes, 'x'))).toBe(maxScannedBytes);
    expect(stopIn(Buffer.alloc(maxScannedBytes, '\\n'))).toBe(maxScannedBytes);
    expect(stopIn(Buffer.alloc(maxScannedBytes, '\\'), 1)).toBe(maxScannedBytes - 1);
    expect(() => scan.load(Buffer.alloc(maxScannedBytes + 17, 'x'))).toThrow(RangeError);
  });
});

describe('there is none', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test('without WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined);
    expect(createStringScan()).toBeUndefined();
  });

  test('without room for its memory', () => {
    const message = 'WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance';
    const refuse = vi.fn<() => never>(function refuseMemory() {
      throw new RangeError(message);
    });
    vi.stubGlobal('WebAssembly', { Module: vi.fn<() => void>(), Instance: refuse });
    expect(createStringScan()).toBeUndefined();
    expect(refuse).toHaveBeenCalledOnce();
  });
});
