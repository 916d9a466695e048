// Installs what the tests of interop/ need and the Node under test may not be able to run: the official conformance
// suite, other people's clients, and a Node for them. Does nothing where the lock file's content is installed already.
// Run by `npm test` before the tests.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(`../interop/${path}`, import.meta.url));

// Beside the packages, so that it goes when they go.
const markFile = file('node_modules/.installed');

// The packages differ by platform, and a folder may be shared between two.
const wanted = createHash('sha256')
  .update(readFileSync(file('package-lock.json')))
  .update(`${process.platform} ${process.arch}`)
  .digest('hex');

if (existsSync(markFile) && readFileSync(markFile, 'utf8') === wanted) {
  console.log('interop: installed already');
} else {
  // The Node that runs npm is older than some of these packages ask for, and it is not the one that will run them.
  const args = ['ci', '--ignore-scripts', '--include=optional', '--no-engine-strict', '--no-audit', '--no-fund'];
  // npm tells the scripts that it runs where it is; to others, the one on the PATH will do.
  const runBy = process.env.npm_execpath;
  const npm = runBy?.endsWith('npm-cli.js') ? runBy : undefined;
  const [command, ...before] = npm === undefined ? ['npm'] : [process.execPath, npm];
  // A setting that npm hands on to scripts, and then refuses.
  const { npm_config_allow_scripts: _refused, ...env } = process.env;
  const { status, error } = spawnSync(command, [...before, ...args, '--prefer-offline', '--loglevel=error'], {
    cwd: file('.'),
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: npm === undefined && process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(`interop: npm ci failed: ${error?.message ?? `exit code ${status}`}`);
    process.exit(1);
  }
  writeFileSync(markFile, wanted);
  console.log('interop: installed');
}
