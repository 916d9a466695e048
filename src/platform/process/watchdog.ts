import { spawn, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** How long servers may take to exit after the end of their input, before SIGTERM, in seconds. */
const endOfInputGrace = 0.5;
/** How long they may take to exit after SIGTERM, before SIGKILL, in seconds. */
const terminationGrace = 1;

/**
 * Keeps a list of process groups, and ends them when its standard input ends, which happens however mcp-expose ends. A POSIX
 * shell takes about 1 MB, another Node 40 MB. It ignores the signals that a terminal sends to all its processes, which must
 * not end it first.
 */
const script = `
trap '' HUP INT TERM
groups=' '
while read -r verb group; do
  case $verb in
    guard) groups="$groups$group " ;;
    release) case $groups in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
case $groups in *[0-9]*) ;; *) exit 0 ;; esac
sleep ${endOfInputGrace}
for group in $groups; do kill -s TERM -- "-$group"; done
sleep ${terminationGrace}
for group in $groups; do kill -s KILL -- "-$group"; done
`;

export interface Watchdog {
  /** Adds a process group, which will not outlive this process. */
  guard(processGroup: number): void;
  /** Removes a group that has ended, since its number may be reused. */
  release(processGroup: number): void;
  /** Kills every guarded group now, without waiting: for a process that is about to exit. */
  killAll(): void;
  /** Ends the watchdog process; resolves when it is gone. */
  close(): Promise<void>;
}

/**
 * Ends the servers that this process started when it ends, even after SIGKILL and if they ignore the end of their input. Its
 * process is started with the first group. On Windows there are neither process groups nor this shell, so there only
 * `killAll` works. See docs/decisions/watchdog.md.
 */
export function createWatchdog(): Watchdog {
  const groups = new Set<number>();
  let dog: ChildProcess | undefined;

  /** A watchdog process that has exited is replaced with the next group, since doing so at once could be an endless loop. */
  function start(): void {
    if (process.platform === 'win32') return;
    const started = startDog();
    const forget = (): void => {
      if (dog === started) dog = undefined;
    };
    started.once('error', forget);
    started.once('exit', forget);
    dog = started;
    for (const group of groups) tell('guard', group);
  }

  function tell(verb: 'guard' | 'release', group: number): void {
    dog?.stdin?.write(`${verb} ${group}\n`);
  }

  return {
    guard(group) {
      groups.add(group);
      if (dog === undefined) start();
      else tell('guard', group);
    },
    release(group) {
      if (groups.delete(group)) tell('release', group);
    },
    killAll() {
      for (const group of groups) signalGroup(group, 'SIGKILL');
    },
    async close() {
      const ending = dog;
      dog = undefined;
      if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
      await new Promise<void>((resolve) => {
        ending.once('exit', () => resolve());
        ending.once('error', () => resolve());
        ending.ref();
        ending.stdin?.end();
      });
    },
  };
}

function startDog(): ChildProcess {
  const dog = spawn('/bin/sh', ['-c', script, 'mcp-expose-watchdog'], {
    argv0: 'mcp-expose-watchdog',
    cwd: '/',
    // In its own group: signals to the group of this process must not end it.
    detached: true,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no watchdog; servers still exit at the end of their input.
  dog.on('error', () => {});
  dog.unref();
  // Undefined, despite its type, if too many files were open to create a pipe.
  const stdin: Writable | null | undefined = dog.stdin;
  stdin?.on('error', () => {});
  // The pipe is a socket, which has unref; the type does not say so.
  if (stdin instanceof Socket) stdin.unref();
  return dog;
}

/** Sends a signal to every process of a group. Returns false if there is none. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(process.platform === 'win32' ? group : -group, signal);
    return true;
  } catch (error) {
    // EPERM: there is one, but it has changed its user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
