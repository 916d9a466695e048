/** Instructions of WebAssembly, in the order in which a machine takes them; an expression leaves its value on the stack. */
export type Code = readonly number[];

/** Types of values, as a module has them in bytes (WebAssembly 2.0 §5.3). */
export const typeI32 = 0x7f;
export const typeV128 = 0x7b;

const noValue = 0x40;
const blockEnd = 0x0b;
const noOffset: Code = [0, 0];

type Unary = (value: Code) => Code;
type Binary = (left: Code, right: Code) => Code;
type FromNumber = (value: number) => Code;

// The instructions that are used here, named as in the text format (WebAssembly 2.0 §5.4).

export const i32: Record<'const', FromNumber> &
  Record<'eqz' | 'ctz' | 'load8U', Unary> &
  Record<'ne' | 'add' | 'sub' | 'and' | 'or' | 'xor' | 'shl' | 'shrU', Binary> = {
  const: (value) => [0x41, ...signed(value)],
  load8U: (address) => [...address, 0x2d, ...noOffset],
  eqz: (value) => [...value, 0x45],
  ne: binary(0x47),
  ctz: (value) => [...value, 0x68],
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrU: binary(0x76),
};

export const v128: Record<'load', Unary> & Record<'or', Binary> = {
  load: (address) => [...address, ...vector(0), ...noOffset],
  or: vectors(80),
};

export const i8x16: Record<'bitmask', Unary> & Record<'eq' | 'ltU' | 'sub', Binary> & Record<'splat', FromNumber> = {
  splat: (value) => [...i32.const(value), ...vector(15)],
  eq: vectors(35),
  ltU: vectors(38),
  bitmask: (value) => [...value, ...vector(100)],
  sub: vectors(113),
};

/** A parameter or a local variable of a function, by its number. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

export function local(index: number): Local {
  return { get: [0x20, ...unsigned(index)], set: (value) => [...value, 0x21, ...unsigned(index)] };
}

/** Does the body again where that branches to depth 0, and once otherwise. */
export function loop(...body: readonly Code[]): Code {
  return [0x03, noValue, ...body.flat(), blockEnd];
}

export function ifThen(condition: Code, ...body: readonly Code[]): Code {
  return [...condition, 0x04, noValue, ...body.flat(), blockEnd];
}

/** Goes to the start of the loop that is so many blocks outside. */
export function branch(depth: number): Code {
  return [0x0c, ...unsigned(depth)];
}

export function giveBack(value: Code): Code {
  return [...value, 0x0f];
}

export const unreachable: Code = [0x00];

export interface FunctionSource {
  /** Local variables behind the one parameter, which is an i32 as the result is: how many of each type, in this order. */
  readonly locals: readonly { readonly count: number; readonly type: number }[];
  readonly body: readonly Code[];
}

export interface Program {
  /** All of its memory, filled with zeros at first. */
  readonly memory: Uint8Array;
  readonly run: (argument: number) => number;
}

/**
 * Makes a function with a memory of so many pages of 64 KiB.
 * @throws Error where there is no WebAssembly, none that knows these instructions, or no room for the memory.
 */
export function assemble(source: FunctionSource, memoryPages: number): Program {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(source, memoryPages)));
  return { memory: new Uint8Array(exports.memory.buffer), run: exports.run };
}

/** What is used of the WebAssembly of JavaScript, which is not among the types of Node 20. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly run: (argument: number) => number };
  };
};

/** A module of one function, with its sections by their numbers (WebAssembly 2.0 §5.5). */
function moduleOf({ locals, body }: FunctionSource, memoryPages: number): Uint8Array {
  const code = [...vec(locals.map(({ count, type }) => [...unsigned(count), type])), ...body.flat(), blockEnd];
  const types = vec([[0x60, ...vec([[typeI32]]), ...vec([[typeI32]])]]);
  const exported = vec([
    [...name('run'), 0x00, 0],
    [...name('memory'), 0x02, 0],
  ]);
  return Uint8Array.of(
    ...Buffer.from('\0asm\u0001\0\0\0'),
    ...section(1, types),
    ...section(3, vec([[0]])),
    ...section(5, vec([[0x01, ...unsigned(memoryPages), ...unsigned(memoryPages)]])),
    ...section(7, exported),
    ...section(10, vec([[...unsigned(code.length), ...code]])),
  );
}

function binary(opcode: number): Binary {
  return (left, right) => [...left, ...right, opcode];
}

function vectors(opcode: number): Binary {
  return (left, right) => [...left, ...right, ...vector(opcode)];
}

function vector(opcode: number): Code {
  return [0xfd, ...unsigned(opcode)];
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function vec(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): Code {
  return vec([...Buffer.from(text)].map((byte) => [byte]));
}

/** LEB128 (WebAssembly 2.0 §5.2.2). */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
