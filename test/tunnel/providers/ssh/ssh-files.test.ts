// What is kept for the next time, where, and for whom.
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

import { openSshFiles } from '../../../../src/tunnel/providers/ssh/ssh-files.ts';
import type { HostEnvironment } from '../../../../src/tunnel/host-environment.ts';
import { createSshProvider } from '../../../../src/tunnel/providers/ssh/ssh.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createMachine } from '../external/programs.ts';
import { createSshWorld } from './ssh-world.ts';
import { fingerprintOf, startSshd } from './sshd.ts';

const greeting = '1: https://abcdefghijklmnopqrstuvwx23.srv.us/\n';

function machineWith(config: string): HostEnvironment {
  return createMachine({ env: { PATH: process.env['PATH'], HOME: temporaryDirectory(), XDG_CONFIG_HOME: config } });
}

const modeOf = (file: string): number => statSync(file).mode & 0o777;

test('a key of our own is made at the first need and shown from then on', async () => {
  const world = await createSshWorld();
  const sshd = await startSshd({ greeting });
  const { environment } = world;
  const provider = createSshProvider({ environment, service: 'srv.us', destination: sshd.destination, remote: '0' });
  await (await world.open(provider)).tunnel.close();
  const folder = path.join(world.home, '.config', 'mcp-expose');
  const key = path.join(folder, 'id_ed25519_srv.us');
  const fingerprint = fingerprintOf(key);
  expect([modeOf(folder), modeOf(key), modeOf(path.join(folder, 'known_hosts'))]).toEqual([0o700, 0o600, 0o600]);
  expect(readFileSync(path.join(folder, 'known_hosts'), 'utf8')).toContain(`[127.0.0.1]:${sshd.port} `);

  await (await world.open(provider)).tunnel.close();
  expect(fingerprintOf(key)).toBe(fingerprint);
  expect(
    sshd
      .log()
      .split('\n')
      .filter((line) => line.startsWith('Accepted publickey') && line.includes(fingerprint)),
  ).toHaveLength(2);
});

test('a key that the user names is shown in its place, and none is made', async () => {
  const world = await createSshWorld();
  const sshd = await startSshd({ greeting });
  const { environment, keyFile } = world;
  await world.open(
    createSshProvider({ environment, service: 'srv.us', destination: sshd.destination, remote: '0', keyFile }),
  );
  expect(sshd.log()).toContain(fingerprintOf(keyFile));
  expect(existsSync(path.join(world.home, '.config', 'mcp-expose', 'id_ed25519_srv.us'))).toBe(false);
});

test('XDG_CONFIG_HOME says where, spaces and percent signs and all', async () => {
  const config = path.join(temporaryDirectory(), 'my %h config');
  const world = await createSshWorld({ env: { XDG_CONFIG_HOME: config } });
  const sshd = await startSshd({ greeting });
  const { environment } = world;
  await world.open(createSshProvider({ environment, service: 'srv.us', destination: sshd.destination, remote: '0' }));
  expect(readFileSync(path.join(config, 'mcp-expose', 'known_hosts'), 'utf8')).toContain('127.0.0.1');
  expect(sshd.log()).toContain(fingerprintOf(path.join(config, 'mcp-expose', 'id_ed25519_srv.us')));
});

test('several who start at once take the same key', async () => {
  const environment = machineWith(temporaryDirectory());
  const opened = await Promise.all(
    Array.from({ length: 4 }, () => openSshFiles({ environment, keyFor: 'a', onWarning: () => undefined })),
  );
  const [keyFile = ''] = opened.map((files) => files.keyFile);
  expect(new Set(opened.map((files) => files.keyFile))).toEqual(new Set([keyFile]));
  expect(readdirSync(path.dirname(keyFile)).toSorted()).toEqual(['id_ed25519_a', 'id_ed25519_a.pub', 'known_hosts']);
});

function runFolders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('mcp-expose-ssh-'));
}

test('where nothing can be kept, it goes on with files for the run, and says so', async () => {
  const file = path.join(temporaryDirectory(), 'file');
  writeFileSync(file, '');
  const world = await createSshWorld({ env: { XDG_CONFIG_HOME: file } });
  const sshd = await startSshd({ greeting });
  const { environment } = world;
  const before = runFolders();
  const { tunnel, warnings } = await world.open(
    createSshProvider({ environment, service: 'srv.us', destination: sshd.destination, remote: '0' }),
  );
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('what ssh has to remember cannot be kept: ');
  await tunnel.close();
  expect(runFolders().filter((name) => !before.includes(name))).toEqual([]);
});

test('every service has a key of its own', async () => {
  const environment = machineWith(temporaryDirectory());
  const opened = await Promise.all(
    ['a', 'b'].map((keyFor) => openSshFiles({ environment, keyFor, onWarning: () => undefined })),
  );
  expect(new Set(opened.map(({ keyFile = '' }) => fingerprintOf(keyFile))).size).toBe(2);
});

test('a key that others can read is refused, as ssh would go on without it', async () => {
  const config = temporaryDirectory();
  const environment = machineWith(config);
  const { keyFile = '' } = await openSshFiles({ environment, keyFor: 'a', onWarning: () => undefined });
  chmodSync(keyFile, 0o640);
  const opened = openSshFiles({ environment, keyFor: 'a', onWarning: () => undefined });
  await expect(opened).rejects.toMatchObject({
    code: 'tunnel_unavailable',
    message: `the SSH key ${keyFile} can be read by other users`,
  });
});

test('no ssh-keygen', async () => {
  const environment = createMachine({ env: { XDG_CONFIG_HOME: temporaryDirectory(), PATH: temporaryDirectory() } });
  const opened = openSshFiles({ environment, keyFor: 'a', onWarning: () => undefined });
  await expect(opened).rejects.toMatchObject({ code: 'tunnel_not_installed' });
  const without = await openSshFiles({ environment, keyFor: undefined, onWarning: () => undefined });
  expect(without.keyFile).toBeUndefined();
});
