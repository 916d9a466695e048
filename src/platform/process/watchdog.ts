import { spawn, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** A server that honours the end of its input has this long before it is told to go, in seconds. */
const endOfInputGrace = 0.5;
/** And this long after SIGTERM before it is killed, in seconds. */
const terminationGrace = 1;

/**
 * Keeps the numbers of the process groups to end, and ends them when its standard input ends, which the kernel brings
 * about however we die. POSIX shell: about 1 MB, against 40 MB for another Node. The signals that a terminal sends to
 * everything it runs must not end it before its work is done.
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
  /** From now on, this process group does not outlive us. */
  guard(processGroup: number): void;
  /** The group is gone; its number may be somebody else's soon. */
  release(processGroup: number): void;
  /** Kills every guarded group now, without waiting: for a process that is about to exit. */
  killAll(): void;
  /** Ends the watchdog process; resolves when it is gone. */
  close(): Promise<void>;
}

/**
 * Sees to it that the servers which we started end with us, even when we are killed with SIGKILL and they do not
 * notice that their input has ended. Starts its process with the first group to guard. On Windows there are neither
 * process groups nor this shell, so there it only serves `killAll`. See docs/decisions/watchdog.md.
 */
export function createWatchdog(): Watchdog {
  const groups = new Set<number>();
  let dog: ChildProcess | undefined;

  /** One that has ended is replaced with the next group to guard: at once could be for ever. */
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
    // A group of its own: what ends our group must not end it.
    detached: true,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell we go on without a watchdog: servers still end by themselves when their input ends.
  dog.on('error', () => {});
  dog.unref();
  // Undefined, in spite of its type, when there were too many open files to make a pipe.
  const stdin: Writable | null | undefined = dog.stdin;
  stdin?.on('error', () => {});
  // The pipe is a socket, which has unref; the type does not say so.
  if (stdin instanceof Socket) stdin.unref();
  return dog;
}

/** Sends a signal to every process of a group. Returns false when there is none left. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(process.platform === 'win32' ? group : -group, signal);
    return true;
  } catch (error) {
    // EPERM: there is one, but it changed its user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
