// mcp-expose on a terminal: `script` of util-linux gives it one. What a person sees is everything on that terminal.
import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { eventually, within } from './eventually.ts';
import { atEnd } from './lifetime.ts';
import { descendants, killIfAlive, processesWithMark } from './processes.ts';
import { bin, cleanEnvironment, projectRoot, temporaryDirectory } from './program.ts';

export interface Terminal {
  mark: string;
  /** As it arrived, control sequences included. */
  raw(): string;
  /** What a reader sees, line feeds normalised. */
  screen(): string;
  waitFor(pattern: RegExp, withinMs?: number): Promise<RegExpMatchArray>;
  /** Types on the keyboard; '\u0003' is Ctrl+C. */
  type(keys: string): void;
  /**
   * Closes the terminal under it, and sends what a shell would send, which hears of that first. Resolves with the exit
   * code of mcp-expose as the shell sees it.
   */
  hangUp(...signals: readonly NodeJS.Signals[]): Promise<number>;
  exited: Promise<number>;
}

const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Runs mcp-expose with these arguments on a pseudo-terminal. @param log file that gets its output, instead of the terminal. */
export function startOnTerminal(args: string[], env: Record<string, string> = {}, log?: string): Terminal {
  const mark = randomUUID();
  const home = temporaryDirectory();
  const status = path.join(home, 'status');
  // stty: the summary may be wide, and a real terminal has a size. The shell stays, to tell how mcp-expose ended.
  const redirections = log === undefined ? '' : ` </dev/null >${quote(log)} 2>&1`;
  const run = [process.execPath, bin, ...args].map(quote).join(' ') + redirections;
  const command = `stty cols 200 rows 50; trap : INT HUP; ${run}; code=$?; echo $code >${quote(status)}; exit $code`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: projectRoot,
    env: { ...cleanEnvironment(home), TERM: 'xterm-256color', SHELL: '/bin/sh', TEST_RUN_MARK: mark, ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let raw = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    raw += chunk;
    for (const look of waiting) look();
  });
  const screen = () => stripVTControlCharacters(raw).replaceAll(/\r+\n/g, '\n');
  const exited = new Promise<number>((resolve) => {
    child.on('exit', (code) => resolve(code ?? 255));
  });
  atEnd('test', async () => {
    const left = descendants(child.pid ?? 0);
    for (const { pid } of [...left, ...processesWithMark(mark)]) killIfAlive(pid);
    if (child.exitCode === null && child.signalCode === null) killIfAlive(child.pid ?? 0);
    await exited;
  });
  return {
    mark,
    raw: () => raw,
    screen,
    waitFor: (pattern, withinMs = 20_000) => {
      const found = new Promise<RegExpMatchArray>((resolve) => {
        const look = () => {
          const match = screen().match(pattern);
          if (!match) return;
          waiting.delete(look);
          resolve(match);
        };
        waiting.add(look);
        look();
      });
      return within(withinMs, () => `${String(pattern)} on the terminal; it shows:\n${screen()}`, found);
    },
    type: (keys) => void child.stdin.write(keys),
    async hangUp(...signals) {
      const program = processesWithMark(mark).find((info) => info.command[1] === bin);
      child.kill('SIGKILL');
      await exited;
      for (const signal of signals) killIfAlive(program?.pid ?? 0, signal);
      return eventually(() => {
        const code = existsSync(status) ? readFileSync(status, 'utf8') : '';
        if (!code.endsWith('\n')) throw new Error('mcp-expose has not ended');
        return Number(code);
      }, 15_000);
    },
    exited,
  };
}
