import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Lets the process end with its exit code when its terminal was closed meanwhile. At the end, Node restores the settings of
 * each standard stream that was a terminal, and aborts where that fails (ResetStdio in its src/node.cc), as it does on a
 * terminal that is gone. A stream that was closed is left out.
 */
export function outliveTerminal(): void {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  process.on('exit', () => {
    for (const descriptor of terminals) if (!isatty(descriptor)) closeSync(descriptor);
  });
}
