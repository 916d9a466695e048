// Many inputs against one program, and a client beside them that has to be right all the time.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { onTestFailed } from 'vitest';
import { within } from '../../harness/eventually.ts';
import { textOf } from '../../harness/json-rpc-message.ts';
import type { Program } from '../../harness/program.ts';
import { createRandom, type Random } from '../../harness/random.ts';
import { openSession, type RawSession } from '../../harness/raw-mcp.ts';

/** The same seed makes the same inputs; what comes of them is still up to the machine. */
const seed = Number(process.env['MCP_EXPOSE_FUZZ_SEED'] ?? randomInt(2 ** 31));

/** `npm run fuzz` goes on for a time, however many inputs that makes. */
const seconds = process.env['MCP_EXPOSE_FUZZ_SECONDS'];
const maxInputs = seconds === undefined ? 10_000 : Number.POSITIVE_INFINITY;
const maxMs = Number(seconds ?? 60) * 1000;

/** For the runner, which has to wait longer than that. */
export const campaignTimeoutMs: number = maxMs + 60_000;

/** Calls of the client beside it, also where a busy machine has sent all inputs before they are answered. */
const minCalls = 4;

/** How much the program may hold more than before, in bytes: its caches, and garbage that is not collected yet. */
const maxMoreResident = 256 * 1024 * 1024;

export interface CampaignOptions {
  readonly name: string;
  /** The program under attack, and others that must not die of it. */
  readonly programs: readonly Program[];
  /** Where the client beside it finds an echo tool. */
  readonly client: { readonly url: string; readonly token: string };
  /** Hands the program `batch` inputs; never rejects for what the program does with them. */
  readonly attack: (random: Random) => Promise<void>;
  readonly batch?: number;
  /** Among how many campaigns the inputs for one place are divided. */
  readonly parts?: number;
  readonly concurrency?: number;
}

interface Harm {
  /** How programs have ended. */
  readonly ended: readonly (number | string)[];
  /** What the client beside it did not get. */
  readonly failures: readonly string[];
  /** By how much programs have grown that have grown too much, in bytes. */
  readonly outgrown: readonly number[];
}

export const noHarm: Harm = { ended: [], failures: [], outgrown: [] };

/** Attacks until all inputs are used or the time is over, and then looks what has become of program and client. */
export async function runCampaign(options: CampaignOptions): Promise<Harm> {
  const { name, programs, client, attack, batch = 1, parts = 1, concurrency = 16 } = options;
  const residentBefore = programs.map(({ pid }) => residentOf(pid));
  const until = performance.now() + maxMs;
  let inputs = 0;
  const tell = (stream: NodeJS.WriteStream, what: string): void =>
    void stream.write(`fuzz of ${name}: MCP_EXPOSE_FUZZ_SEED=${seed}, ${inputs} inputs${what}\n`);
  onTestFailed(() => tell(process.stderr, `\n${programs.map((program) => program.stderr().slice(-4000)).join('\n')}`));

  const isAlive = (): boolean =>
    programs.every(({ process: { exitCode, signalCode } }) => (exitCode ?? signalCode) === null);
  const over = new AbortController();
  const beside = callAllTheTime(client, () => over.signal.aborted || !isAlive());
  void beside.finally(() => over.abort());
  const attackOn = async (): Promise<void> => {
    while (!over.signal.aborted && inputs < maxInputs / parts && performance.now() < until && isAlive()) {
      // Each batch has choices of its own, in whatever order they come to be made.
      const random = createRandom(Math.imul(seed + inputs, 0x9e3779b1));
      inputs += batch;
      await attack(random); // oxlint-disable-line no-await-in-loop -- one after the other, beside others
    }
  };
  await Promise.all(Array.from({ length: concurrency }, attackOn));
  over.abort();
  const { calls, failures } = await beside;
  tell(process.stdout, `, ${calls} calls beside them`);
  const sizes = programs.map(({ pid }, at) => residentOf(pid) - (residentBefore[at] ?? 0));
  return {
    ended: programs.flatMap(({ process: { exitCode, signalCode } }) => exitCode ?? signalCode ?? []),
    failures,
    outgrown: sizes.filter((size) => size > maxMoreResident),
  };
}

/** A session that calls, one call after the other, and compares what comes back. */
async function callAllTheTime(
  { url, token }: CampaignOptions['client'],
  isOver: () => boolean,
): Promise<{ calls: number; failures: string[] }> {
  const failures: string[] = [];
  let calls = 0;
  let session: RawSession | undefined;
  while (failures.length < 3 && (calls < minCalls || !isOver())) {
    const text = `call ${calls} of the client beside it`;
    try {
      session ??= await openSession(url, token); // oxlint-disable-line no-await-in-loop -- one after the other is the point
      // oxlint-disable-next-line no-await-in-loop
      const answer = await within(
        15_000,
        text,
        session.call(2 + calls, 'tools/call', { name: 'echo', arguments: { text } }),
      );
      if (textOf(answer) !== text) failures.push(`${text}: ${JSON.stringify(answer)}`);
      calls++;
    } catch (error) {
      failures.push(`${text}: ${String(error)}`);
    }
  }
  return { calls, failures };
}

/** What a process occupies, in bytes; 0 when there is none. */
function residentOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
