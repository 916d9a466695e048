// What npm would publish, and that it works where it is installed: nothing of this folder is at hand there.
import { execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { within } from './harness/eventually.ts';
import { atEnd } from './harness/lifetime.ts';
import { parseJson } from './harness/parse-json.ts';
import { cleanEnvironment, projectRoot, temporaryDirectory } from './harness/program.ts';
import { readdirSync, readFileSync } from 'node:fs';

const run = promisify(execFile);
const installMs = 180_000;
const manifest = parseJson<{ version: string }>(readFileSync(path.join(projectRoot, 'package.json'), 'utf8'));
const echo = path.join(projectRoot, 'fixtures', 'echo.js');

let packed: string[] = [];
let project = '';
let installedBin = '';

beforeAll(async () => {
  const folder = temporaryDirectory('file');
  // What `prepare` builds is there already: other tests use it at the same time.
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: projectRoot,
    timeout: installMs,
  });
  const [tarball] = parseJson<{ filename: string; files: { path: string }[] }[]>(stdout);
  if (tarball === undefined) throw new Error('npm packed nothing');
  packed = tarball.files.map((file) => file.path);

  project = path.join(folder, 'somebody elses project');
  await mkdir(project);
  await writeFile(path.join(project, 'package.json'), '{"name":"somebody-elses","private":true,"type":"module"}');
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', path.join(folder, tarball.filename)];
  await run('npm', install, { cwd: project, timeout: installMs });
  installedBin = path.join(project, 'node_modules', '.bin', 'mcp-expose');
}, 2 * installMs);

describe('the tarball', () => {
  test('holds what it must and nothing else', () => {
    const sources = readdirSync(path.join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' });
    const built = sources
      // Declarations of packages of others are for the compiler alone.
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
      .map((file) => `dist/${file.replaceAll(path.sep, '/').slice(0, -'.ts'.length)}`)
      .flatMap((file) => [`${file}.js`, `${file}.d.ts`]);
    // execa and commander are part of dist, and their licences with it.
    const own = [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin/mcp-expose.js',
      'dist/third-party-licences.txt',
      'package.json',
    ];
    // To which the help refers.
    const docs = readdirSync(path.join(projectRoot, 'docs')).filter((file) => file.endsWith('.md'));
    expect(packed.toSorted()).toEqual([...own, ...built, ...docs.map((file) => `docs/${file}`)].toSorted());
  });

  test('holds no secret, no source and no map', () => {
    expect(packed.filter((file) => /\.env|\.map$|(?<!\.d)\.ts$|test|fixtures|\.tgz$|node_modules/.test(file))).toEqual(
      [],
    );
  });
});

describe('installed elsewhere', () => {
  test('its command tells its version', async () => {
    const { stdout } = await run(installedBin, ['--version'], { cwd: project, timeout: 60_000 });
    expect(stdout.trim()).toBe(manifest.version);
  });

  test('its command shares a server, off a terminal in one line', async () => {
    const home = temporaryDirectory();
    const child = spawn(installedBin, ['--tunnel', 'none', '--', process.execPath, echo], {
      cwd: project,
      env: { ...cleanEnvironment(home), MCP_EXPOSE_TOKEN: 'mcpx_package-test-of-a-share' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise<number | null>((resolve) => {
      child.once('exit', resolve);
    });
    atEnd('test', async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const printed = text(child.stdout);
    const ready = new Promise<string>((resolve) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    });
    const line = await within(60_000, 'the share to be ready', ready);
    const [, url = ''] =
      /^mcp-expose: ready at (http:\/\/127\.0\.0\.1:\d+\/mcp) \(2 tools, MCP .+\)$/m.exec(line) ?? [];
    expect(url).not.toBe('');
    expect((await fetch(url, { method: 'POST' })).status).toBe(401);
    child.kill('SIGTERM');
    expect(await within(60_000, 'the share to end', exited)).toBe(143);
    expect((await printed).trim().split('\n')).toHaveLength(1);
  });

  test('its library exposes a server and ends it', async () => {
    const script = `
      import { expose, ExposeError } from 'mcp-expose';
      const exposed = await expose({ server: { stdio: [process.execPath, ${JSON.stringify(echo)}] }, tunnel: { kind: 'none' } });
      const { localUrl, publicUrl, servers } = exposed;
      const [{ description: server }] = servers;
      const headers = {
        authorization: 'Bearer ' + exposed.token,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      };
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '0' } };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
      const answer = await fetch(localUrl, { method: 'POST', headers, body });
      const { result } = await answer.json();
      const { close } = exposed;
      await close();
      const refused = await expose({ server: { stdio: '' } }).catch((error) => error instanceof ExposeError && error.code);
      console.log(JSON.stringify({ status: answer.status, name: result.serverInfo.name, publicUrl, server, refused }));
    `;
    await writeFile(path.join(project, 'use.js'), script);
    const env = cleanEnvironment(temporaryDirectory());
    const { stdout } = await run(process.execPath, ['use.js'], { cwd: project, env, timeout: 60_000 });
    expect(parseJson<unknown>(stdout)).toMatchObject({
      status: 200,
      name: 'fixture-echo',
      publicUrl: null,
      server: { name: 'fixture-echo', era: 'legacy', tools: 2 },
      refused: 'usage',
    });
  });

  test('its types compile in a project that checks the types of its libraries', async () => {
    const script = `
      import { expose, ExposeError, type Exposed, type ExposeEvent, type ExposeOptions } from 'mcp-expose';
      const seen: ExposeEvent['type'][] = [];
      const options: ExposeOptions = {
        server: { stdio: ['node', 'server.js'], env: new Map([['A', 'b']]) },
        access: { allowOrigins: ['https://app.example'] },
        tunnel: { kind: 'none' },
        listen: { port: 0 },
        output: { onEvent: (event) => seen.push(event.type) },
      };
      export const exposed: Promise<Exposed> = expose(options);
      // @ts-expect-error -- there is no such option
      export const wrong: ExposeOptions = { server: {}, listen: { prot: 1 } };
      export const isOurs = (error: unknown): boolean => error instanceof ExposeError && error.code === 'usage';
    `;
    await writeFile(path.join(project, 'types.ts'), script);
    const modules = path.join(projectRoot, 'node_modules');
    const compilerOptions = {
      module: 'NodeNext',
      target: 'ES2023',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [path.join(modules, '@types')],
    };
    await writeFile(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }));
    const tsc = path.join(modules, 'typescript', 'bin', 'tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', '.'], { cwd: project, timeout: 60_000 }).catch(
      (error: { stdout: string }) => error,
    );
    // The types of Node have errors of their own with this compiler.
    const ours = stdout.split('\n').filter((line) => /^(?:types\.ts|node_modules\/mcp-expose\/)/.test(line));
    expect(ours).toEqual([]);
  });

  test('nothing but its documented entry can be imported', async () => {
    const script = `import('mcp-expose/dist/expose/expose.js').then(() => console.log('imported'), ({ code }) => console.log(code));`;
    const { stdout } = await run(process.execPath, ['-e', script], { cwd: project, timeout: 60_000 });
    expect(stdout.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
