import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { baseUrl } from '../../../../src/tunnel/providers/external/output-event.ts';
import { TunnelProgram } from '../../../../src/tunnel/providers/external/tunnel-program.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createMachine } from './programs.ts';

const session = { port: 1, signal: new AbortController().signal, onUrls() {}, onWarning() {} };
const read = (line: string) => ({ kind: 'urls', urls: [baseUrl(line) ?? ''] }) as const;

test('a program on PATH runs under its name', async () => {
  const folder = temporaryDirectory();
  const script = '#!/bin/sh\necho "https://$1.example"\nexec sleep 60\n';
  writeFileSync(path.join(folder, 'thing'), script, { mode: 0o755 });
  const machine = createMachine({ env: { PATH: `${folder}:/usr/bin:/bin` } });
  const program = new TunnelProgram(machine, 'thing', 'install it');
  expect([program.name, await program.isInstalled()]).toEqual(['thing', true]);
  const tunnel = await program.start(session, { args: ['box'], read }).started;
  atEnd('test', () => tunnel.close());
  expect(tunnel.publicUrls).toEqual(['https://box.example']);
});

test('a missing program says how to install it, whoever notices first', async () => {
  const program = new TunnelProgram(createMachine({ env: { PATH: temporaryDirectory() } }), 'thing', 'install it');
  expect(await program.isInstalled()).toBe(false);
  const error = { code: 'tunnel_not_installed', message: 'thing is not installed', hints: ['install it'] };
  expect(program.notInstalled()).toMatchObject(error);
  await expect(program.start(session, { args: [], read }).started).rejects.toMatchObject(error);
});
