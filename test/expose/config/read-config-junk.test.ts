import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/expose/config/read-config.ts';
import { ExposeError } from '../../../src/errors.ts';
import { temporaryDirectory } from '../../harness/program.ts';
import { writeConfig } from './config-file.ts';

/** What means something in a configuration or to a program, for all places. */
const words = [
  ...'mcpServers servers mcp command args env envFile cwd url serverUrl headers type disabled inputs'.split(' '),
  ...'__proto__ constructor toString . .. / ~ stdio http sse https://x.example/sse'.split(' '),
  ...'${env:X} ${X} ${X:-y} ${NONE} ${input:x} ${command:x} ${ ${/} ${userHome}'.split(' '),
  '',
  ' ',
  '\0',
  '\n',
  '\uD800',
];

/** Numbers that are the same in every run (mulberry32). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function junk(random: (below: number) => number, depth: number): unknown {
  const word = (): string => words[random(words.length)] ?? '';
  const kind = random(depth > 0 ? 10 : 6);
  if (kind < 3) return word();
  if (kind < 6) return [null, true, false, 0, -1e300, random(9)][random(6)];
  const length = random(5);
  if (kind < 7) return Array.from({ length }, () => junk(random, depth - 1));
  return Object.fromEntries(Array.from({ length }, () => [word(), junk(random, depth - 1)]));
}

const right: Readonly<Record<string, unknown>> = {
  command: 'x',
  args: ['${X}', 'y'],
  env: { A: '${env:X}', B: null },
  cwd: '~',
  url: 'https://x.example/mcp',
  headers: { 'X-Key': '${X}' },
  type: 'stdio',
  disabled: false,
};

/** An entry whose members are there or not, and right or not. */
function entry(random: (below: number) => number): unknown {
  const members = Object.entries(right).filter(() => random(3) === 0);
  return Object.fromEntries(members.map(([name, value]) => [name, random(4) === 0 ? junk(random, 3) : value]));
}

/** Throws whatever is no ExposeError. */
async function outcomeOf(file: string): Promise<string> {
  try {
    const { servers, problems } = await readConfig(file, { env: { X: 'x' } });
    for (const { error } of problems) expect(error).toBeInstanceOf(ExposeError);
    return servers.size > 0 ? 'servers' : 'none';
  } catch (error) {
    if (!(error instanceof ExposeError)) throw error;
    return error.code;
  }
}

describe('whatever is in a file, only an ExposeError comes of it', () => {
  test('JSON of the right words in wrong places', async () => {
    const random = createRandom(1);
    const folder = temporaryDirectory();
    const outcomes = new Set<string>();
    for (let round = 0; round < 500; round++) {
      const servers = Object.fromEntries(Array.from({ length: 3 }, (_, index) => [`s${index}`, entry(random)]));
      const content = random(3) === 0 ? junk(random, 5) : { mcpServers: servers };
      // oxlint-disable-next-line no-await-in-loop -- one file for all
      outcomes.add(await outcomeOf(writeConfig(JSON.stringify(content), 'mcp.json', folder)));
    }
    expect([...outcomes].toSorted()).toEqual(['config_unusable', 'servers']);
  });

  test('a good file with damage', async () => {
    const random = createRandom(2);
    const folder = temporaryDirectory();
    const good = '{"mcpServers": {"a": {"command": "x", "args": ["${X}"], "env": {"K": "v"}}, /* c */ "b": {},}}';
    const outcomes = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(good);
      for (let hits = random(4) + 1; hits > 0; hits--) bytes[random(bytes.length)] = random(256);
      const piece = bytes.subarray(0, random(2) === 0 ? bytes.length : random(bytes.length));
      // oxlint-disable-next-line no-await-in-loop -- one file for all
      outcomes.add(await outcomeOf(writeConfig(piece, 'mcp.json', folder)));
    }
    expect([...outcomes].toSorted()).toEqual(['config_unusable', 'servers']);
  });
});
