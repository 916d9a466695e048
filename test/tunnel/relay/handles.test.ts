import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from './world.ts';

const run = promisify(execFile);

/** Opens a relay, an agent and a lan tunnel, uses them, closes them, and then has nothing left to do. */
const program = `
import { createRelay } from './built/tunnel/relay/server/relay.js';
import { createRelayProvider } from './built/tunnel/providers/relay.js';
import { createLanProvider } from './built/tunnel/providers/lan.js';
const target = { handler: (request, response) => { request.resume(); response.end('hello'); }, localPort: 0 };
const options = { signal: new AbortController().signal, onStatus() {}, onWarning() {} };
const get = async (url) => await (await fetch(url, { headers: { connection: 'close' } })).text();
const relay = await createRelay({ host: '127.0.0.1', port: 0 });
const tunnel = await createRelayProvider({ relayUrl: relay.url, env: { XDG_CONFIG_HOME: process.argv[2] } }).open(target, options);
const lan = await createLanProvider({ addresses: ['127.0.0.1'] }).open(target, options);
console.log(await get(tunnel.publicUrls[0]), await get(lan.publicUrls[0]));
await lan.close();
await tunnel.close();
await relay.close();
`;

test('after close() nothing keeps the process alive', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const root = resolve(import.meta.dirname, '../../..');
  // Compiled rather than loaded by vitest, whose own handles would hide ours.
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const entries = ['relay/server/relay.ts', 'providers/relay.ts', 'providers/lan.ts'].map((file) =>
    join(root, 'src/tunnel', file),
  );
  const config = {
    extends: join(root, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: join(root, 'src'),
      outDir: join(folder.path, 'built'),
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: entries,
    include: [],
  };
  mkdirSync(join(folder.path, 'config'));
  writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder.path, 'program.js'), program);
  symlinkSync(join(root, 'node_modules'), join(folder.path, 'node_modules'), 'junction');
  await run(process.execPath, [compiler, '-p', folder.path]);
  const { stdout } = await run(process.execPath, ['program.js', join(folder.path, 'config')], {
    cwd: folder.path,
    // Shorter than any timer that could be left: ws cuts a socket that does not close after 30 s.
    timeout: 15_000,
  });
  expect(stdout).toBe('hello hello\n');
  folder.remove();
});
