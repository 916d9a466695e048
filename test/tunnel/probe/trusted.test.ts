import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseJson } from '../../harness/parse-json.ts';
import { projectRoot, temporaryDirectory } from '../../harness/program.ts';
import { selfSigned } from '../../harness/certificate.ts';

const run = promisify(execFile);

/** Looks at itself through a public side with TLS: directly and through a proxy. Node reads NODE_EXTRA_CA_CERTS when it starts. */
const program = `
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { capabilities } from './built/tunnel/capabilities.js';
import { HostOverrides } from './built/platform/net/host-overrides.js';
import { createProbeMarker } from './built/tunnel/probe/probe-marker.js';
import { SelfProbe } from './built/tunnel/probe/self-probe.js';

const [host, keyFile, certFile] = process.argv.slice(2);
const marker = createProbeMarker((request, response) => {
  request.resume();
  response.statusCode = request.headers.authorization === 'Bearer secret' ? 200 : 401;
  response.end('{}');
});
const listen = async (server) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
};
const end = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, marker.handler);
const port = await listen(end);
const asked = [];
const proxy = createProxy().on('connect', (request, near) => {
  asked.push(request.url);
  near.write('HTTP/1.1 200 OK\\r\\n\\r\\n');
  const far = connect(port, '127.0.0.1');
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.pipe(far).pipe(near);
});
const proxyUrl = 'http://127.0.0.1:' + (await listen(proxy));
const look = async (name, env, resolve) => {
  const probe = new SelfProbe({
    environment: { env, overrides: new HostOverrides(resolve) },
    marker,
    capabilities: capabilities.tailscale,
    token: 'secret',
    opening: () => undefined,
    readinessPath: '/readyz',
  });
  const url = 'https://' + name + ':' + port;
  const { signal } = new AbortController();
  const found = [];
  for (const each of ['reach', 'streams', 'look']) found.push(await probe[each](url, signal));
  return found;
};
const direct = await look(host, {}, [host + ':' + port + ':127.0.0.1']);
const proxied = await look(host, { HTTPS_PROXY: proxyUrl }, []);
const [[other]] = await look('other.example', { HTTPS_PROXY: proxyUrl }, []);
console.log(JSON.stringify({ direct, proxied, other, asked: [...new Set(asked)].map((name) => name.split(':')[0]) }));
process.exit();
`;

test('over TLS, with an authority that is trusted, all is well', { timeout: 60_000 }, async () => {
  const folder = temporaryDirectory();
  const host = 'x.trycloudflare.com';
  const { ca: certFile } = selfSigned([`DNS:${host}`]);
  const keyFile = path.join(path.dirname(certFile), 'key.pem');
  const config = {
    extends: path.join(projectRoot, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: path.join(projectRoot, 'src'),
      outDir: path.join(folder, 'built'),
      typeRoots: [path.join(projectRoot, 'node_modules/@types')],
    },
    files: [path.join(projectRoot, 'src/tunnel/probe/self-probe.ts')],
    include: [],
  };
  mkdirSync(path.join(folder, 'built'));
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(folder, 'program.js'), program);
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  await run(process.execPath, [path.join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  const { stdout } = await run(process.execPath, ['program.js', host, keyFile, certFile], {
    cwd: folder,
    timeout: 30_000,
    env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: certFile },
  });
  expect(parseJson(stdout)).toEqual({
    direct: [[], [], []],
    proxied: [[], [], []],
    other: {
      kind: 'tls_error',
      reason: expect.stringContaining("altnames: Host: other.example. is not in the cert's"),
    },
    asked: [host, 'other.example'],
  });
});
