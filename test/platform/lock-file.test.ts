import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';
import { takeLock } from '../../src/platform/lock-file.ts';
import { eventually, inTurn, temporaryFolder } from '../tunnel/relay/world.ts';

const starters = 6;
/** Says that it is ready, waits for the word, takes a slot, names it, and holds it until its input ends. */
const program = `
import { openKeySlot } from './key-store.js';
process.stdin.once('data', () => {
  const slot = openKeySlot({ relayHost: 'relay.example', env: { XDG_CONFIG_HOME: process.argv[2] }, onWarning() {} });
  console.log(slot.identity.name + (slot.isStable ? '' : ' unstable'));
  process.stdin.once('end', () => slot.close());
});
console.log('ready');
`;

test.runIf(process.platform === 'linux')('a lock from an earlier boot is stale even if its pid is in use again', () => {
  const folder = temporaryFolder();
  const path = join(folder.path, 'slot.lock');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const pid = process.ppid;
  writeFileSync(path, `${pid}\n${boot}\n`);
  expect(takeLock(path)).toBeUndefined();
  writeFileSync(path, `${pid}\n00000000-0000-0000-0000-000000000000\n`);
  const release = takeLock(path);
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n${boot}\n`);
  release?.();
  folder.remove();
});

test(
  'processes that start at the same moment never share a slot, with or without a stale lock',
  { timeout: 60_000 },
  async () => {
    const folder = temporaryFolder();
    const input = resolve(import.meta.dirname, '../../src/tunnel/relay/agent/key-store.ts');
    const bundle = await rolldown({ input, platform: 'node' });
    await bundle.write({ file: join(folder.path, 'key-store.js'), format: 'esm' });
    await bundle.close();
    writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder.path, 'program.js'), program);
    await inTurn([false, true, false, true], async (isStale) => {
      const config = join(folder.path, `config-${Math.random()}`);
      const keys = join(config, 'mcp-expose', 'keys');
      if (isStale) {
        mkdirSync(keys, { recursive: true });
        writeFileSync(join(keys, 'relay.example.1.lock'), '4194000\n');
      }
      const runs = Array.from({ length: starters }, () => {
        const child = spawn(process.execPath, [join(folder.path, 'program.js'), config], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        const run = { child, text: '' };
        child.stdout.on('data', (chunk: Buffer) => {
          run.text += chunk.toString();
        });
        return run;
      });
      await eventually(() => runs.every((run) => run.text === 'ready\n'), 'all starters');
      for (const { child } of runs) child.stdin.write('go');
      await eventually(() => runs.every((run) => run.text.split('\n').length === 3), 'all names');
      for (const { child } of runs) child.stdin.end();
      await eventually(() => runs.every((run) => run.child.exitCode !== null), 'the ends');
      const names = runs.map((run) => run.text.split('\n')[1]);
      expect(new Set(names).size).toBe(starters);
      expect(names.join(' ')).not.toContain('unstable');
    });
    folder.remove();
  },
);
