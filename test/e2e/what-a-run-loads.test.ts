// Every start waits for what is loaded, and all of it stays in memory: so a run loads what it needs and nothing else.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { startExpose, startRelay, type ExposeOptions } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

/** The parts of Node that a run has loaded by its end, after a call. */
async function loadedBy(options: ExposeOptions): Promise<string[]> {
  const file = path.join(temporaryDirectory(), 'loaded.json');
  const script = `
    import { writeFileSync } from 'node:fs';
    process.on('exit', () => writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.moduleLoadList)));`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}`, ...options.env };
  const exposed = await startExpose({ ...options, env });
  const session = await openSession(exposed.localUrl, exposed.token);
  await session.call(1, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });
  expect(await exposed.stop()).toBe(143);
  return namesIn(readFileSync(file, 'utf8'));
}

function namesIn(loadList: string): string[] {
  return parseJson<string[]>(loadList).map((entry) => entry.replace(/^NativeModule /, ''));
}

/** What of these parts of Node a run has loaded that http itself does not need; in later versions it needs some of them. */
async function beyondHttp(unneeded: readonly string[], loaded: readonly string[]): Promise<string[]> {
  const script = `import('node:http').then(() => console.log(JSON.stringify(process.moduleLoadList)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  const byHttp = namesIn(stdout);
  return unneeded.filter((name) => loaded.includes(name) && !byHttp.includes(name));
}

describe('a run', () => {
  test('that starts a server and is reached from here only needs no TLS, no HTTP/2 and no resolver of its own', async () => {
    const loaded = await loadedBy({ server: fixture('echo') });
    expect(loaded).toEqual(expect.arrayContaining(['http', 'child_process', 'crypto']));
    const unneeded = ['tls', 'https', 'http2', 'dns/promises', 'readline', 'worker_threads'];
    expect(await beyondHttp(unneeded, loaded)).toEqual([]);
  });

  test('that is reached through a relay needs no HTTP/2 either', async () => {
    const relay = await startRelay();
    const loaded = await loadedBy({ server: fixture('echo'), args: ['--relay', relay.url] });
    expect(loaded).toContain('http');
    expect(await beyondHttp(['http2', 'readline', 'worker_threads'], loaded)).toEqual([]);
  });
});
