// A wished name stays its key's when the relay ends and starts again, however it ended.
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { launchExpose, type Relay, startBehindRelay, startRelay } from '../harness/expose.ts';
import { randomUUID } from 'node:crypto';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';

const server = fixture('echo');
const args = ['--name', 'files'];

async function strangerIsRefused(relay: Relay): Promise<string> {
  const duplicateKey = launchExpose({ server, args: ['--tunnel', 'relay', '--relay', relay.url, ...args] });
  expect(await duplicateKey.exited).toBe(4);
  return duplicateKey.stderr();
}

test.each(['SIGKILL', 'SIGTERM'] as const)('after %s no stranger gets it, and its owner does', async (signal) => {
  const relay = await startRelay();
  const home = temporaryDirectory();
  const owner = await startBehindRelay(relay, { server, args, home });
  // Gone at the same moment, so that the stranger is first.
  await Promise.all([relay.stop(signal), owner.stop('SIGKILL')]);
  const again = await startRelay({ port: relay.port, home: relay.home });
  expect(await strangerIsRefused(again)).toContain('the name files belongs to another key');
  expect((await startBehindRelay(again, { server, args, home })).publicUrl).toBe(owner.publicUrl);
  const files = readdirSync(relay.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.map((file) => statSync(path.join(file.parentPath, file.name)).mode & 0o777)).toEqual([0o600]);
});

test('--state names the file', async () => {
  const state = path.join(temporaryDirectory(), 'names.json');
  const relay = await startRelay({ args: ['--state', state] });
  await startBehindRelay(relay, { server, args });
  await relay.stop('SIGKILL');
  // Another port and another home: what counts is the file.
  expect(await strangerIsRefused(await startRelay({ args: ['--state', state] }))).toContain('belongs to another key');
});

const startWith = (state: string) => startProgram(['relay', '--port', '0', '--state', state], { mark: randomUUID() });

describe('a file that cannot be used', () => {
  test('that is damaged: a sentence, what to do, and exit code 2', async () => {
    const state = path.join(temporaryDirectory(), 'names.json');
    writeFileSync(state, '{"version":1,"names":[{"name":"fi', { mode: 0o600 });
    const relay = startWith(state);
    expect(await relay.exited).toBe(2);
    expect(relay.stderr()).toContain(`error: the relay's state ${state}`);
    expect(relay.stderr()).toMatch(/hint: restore it, or delete it/);
    expect(relay.stdout()).toBe('');
  });

  test('that cannot be written: the same', async () => {
    const state = path.join(temporaryDirectory(), 'missing', 'names.json');
    const relay = startWith(state);
    expect(await relay.exited).toBe(2);
    expect(relay.stderr()).toContain(`error: cannot write the relay's state to ${state}`);
  });

  test('by default, without a folder to write to: a warning, and the relay runs', async () => {
    const home = path.join(temporaryDirectory(), 'home');
    writeFileSync(home, 'a file where the folder should be');
    const relay = await startRelay({ home });
    await relay.waitForStderr(/warning: cannot write the relay's state.*go to the first agent that asks/);
    expect((await fetch(`${relay.url}/healthz`)).status).toBe(200);
  });
});
