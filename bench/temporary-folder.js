import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder, which is removed when the bench exits. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-expose-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
