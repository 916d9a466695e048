import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import { ExposeError, messageOf } from '../errors.ts';
import { settledWithin } from '../platform/deferred.ts';
import { looksLikeToken, shellQuote } from '../platform/text/redact.ts';

/** Lines that wait for the disk, in bytes. Beyond it, lines are dropped and counted: a call never waits for the disk. */
const maxWaitingBytes: number = 1024 * 1024;

/** How often it is checked whether the file is still the one at the path, in milliseconds. */
const checkMs = 1000;

/** How long the end of a run waits for the disk, in milliseconds. */
const closeMs = 2000;

const isPosix = process.platform !== 'win32';

/** How long lines are gathered for one write, in milliseconds: a write costs more than a line. */
const gatherMs = 20;

const notAscii = /[\u007F-\uFFFF]/;

/** Characters that JSON.stringify leaves as they are, and that control a terminal or the order of letters. */
const controls = /[\u007F-\u009F\u2028\u2029]|\p{Bidi_Control}/gu;

/** A file to which lines of JSON are appended in the background. Its write errors are reported once, and never thrown. */
export class AuditFile {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  #handle: FileHandle;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** Lines that were not written, to be reported by a line. */
  #dropped = 0;
  #writing: Promise<void> | undefined;
  #checkedAt = 0;
  #hasWarned = false;
  #isClosed = false;
  /** The last write may have ended within a line. */
  #isTorn = false;

  private constructor(path: string, handle: FileHandle, warn: (message: string) => void) {
    this.#path = path;
    this.#handle = handle;
    this.#warn = warn;
  }

  /** @throws ExposeError `usage` */
  static async open(path: string, warn: (message: string) => void): Promise<AuditFile> {
    return new AuditFile(path, await openPrivate(path), warn);
  }

  /** Adds a line, unless the file was closed. Members that are undefined are left out. */
  write(event: string, entry: object): void {
    if (this.#isClosed) return;
    if (this.#waitingBytes >= maxWaitingBytes) {
      this.drop();
      return;
    }
    const line = lineOf(event, entry);
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#writeAll();
  }

  /** Counts a line that is not written. A later line has the count. */
  drop(): void {
    this.#dropped++;
  }

  /** Begins a new file at once if the one at the path was moved. */
  reopen(): void {
    this.#checkedAt = 0;
    if (!this.#isClosed) this.#writing ??= this.#append('').then(() => this.#writeAll());
  }

  /** Waits for what has been added, unless the disk hangs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await settledWithin(this.#finish(), closeMs);
  }

  async #finish(): Promise<void> {
    await this.#writing;
    if (this.#dropped > 0) this.#waiting.push(this.#takeDropped());
    await this.#writeAll();
    await this.#handle.close();
  }

  async #writeAll(): Promise<void> {
    // What is added meanwhile goes into the next write.
    while (this.#waiting.length > 0) {
      // oxlint-disable-next-line no-await-in-loop -- see gatherMs
      if (!this.#isClosed) await delay(gatherMs);
      const [lines, dropped] = [this.#waiting, this.#dropped];
      this.#waiting = [];
      this.#waitingBytes = 0;
      const count = dropped === 0 ? '' : this.#takeDropped();
      // oxlint-disable-next-line no-await-in-loop -- in this order
      if (!(await this.#append(lines.join('') + count))) this.#dropped += lines.length + dropped;
    }
    this.#writing = undefined;
  }

  #takeDropped(): string {
    const count = this.#dropped;
    this.#dropped = 0;
    return lineOf('dropped', { count });
  }

  async #append(text: string): Promise<boolean> {
    try {
      await this.#followPath();
      await this.#handle.appendFile(this.#isTorn ? `\n${text}` : text);
      this.#isTorn = false;
      return true;
    } catch (error) {
      this.#isTorn = true;
      this.#warnOnce(`cannot write to the audit file ${this.#path}, lines are lost: ${messageOf(error)}`);
      return false;
    }
  }

  /** Opens the path again if its file was moved or removed, as programs that rotate logs do. */
  async #followPath(): Promise<void> {
    const now = performance.now();
    if (this.#checkedAt > 0 && now - this.#checkedAt < checkMs) return;
    this.#checkedAt = now;
    const [there, ours] = await Promise.all([stat(this.#path).catch(() => undefined), this.#handle.stat()]);
    if (there !== undefined && there.ino === ours.ino && there.dev === ours.dev) return;
    try {
      const moved = this.#handle;
      this.#handle = await openPrivate(this.#path);
      await moved.close();
    } catch (error) {
      this.#warnOnce(`the audit file has been moved, and lines are still written to it: ${messageOf(error)}`);
    }
  }

  #warnOnce(message: string): void {
    if (!this.#hasWarned) this.#warn(message);
    this.#hasWarned = true;
  }
}

function lineOf(event: string, entry: object): string {
  const json = `{"time":"${new Date().toISOString()}","event":"${event}",${JSON.stringify(entry).slice(1)}`;
  if (!notAscii.test(json)) return `${json}\n`;
  return `${json.replaceAll(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

/** Opens a file that only its owner can read, to append to it. @throws ExposeError `usage` */
async function openPrivate(path: string): Promise<FileHandle> {
  // The error must not show a token that was given as the file name.
  if (looksLikeToken(path)) throw new ExposeError('usage', '--audit takes the name of a file, not a token');
  let file: FileHandle;
  try {
    // Non-blocking: opening a pipe that nobody reads would block.
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);
    file = await open(path, flags, 0o600);
  } catch (cause) {
    throw new ExposeError('usage', `cannot open the audit file ${path}: ${messageOf(cause)}`, { cause });
  }
  // The open file is checked, so that it cannot be replaced after the check. Devices are not files that keep something.
  const status = await file.stat();
  if (!isPosix || !status.isFile() || (status.mode & 0o077) === 0) return file;
  await file.close();
  const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
  throw new ExposeError('usage', `the audit file ${path} can be read by other users (mode ${mode})`, {
    hints: [`make it private: chmod 600 ${shellQuote(path)}`],
  });
}
