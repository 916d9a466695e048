import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Keeps the exit code when the terminal has been closed. On exit, Node restores the settings of each standard stream that was
 * a terminal, and aborts if that fails (ResetStdio in its src/node.cc), as it does for a closed terminal. Node skips
 * streams that are closed.
 */
export function outliveTerminal(): void {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  process.on('exit', () => {
    for (const descriptor of terminals) if (!isatty(descriptor)) closeSync(descriptor);
  });
}
