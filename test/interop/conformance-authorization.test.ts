// The official conformance suite against mcp-expose with --oauth: as an authorization server, by its scenarios for those, and
// as a server whose client has signed in. The scenarios of the suite that are named auth/* are for clients.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startBehindRelay, startRelay } from '../harness/expose.ts';
import { exposeConformance, type Finished, runInterop } from '../harness/interop.ts';
import { freePort } from '../harness/loopback-server.ts';
import { approve, register, signInByForm } from '../harness/oauth-form.ts';
import { startShared, sharedServer } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';

const suite = 'conformance-0.2.0-alpha.12';
const preload = fileURLToPath(new URL('send-bearer.js', import.meta.url));

/** All of them, with the checks that they make. */
const scenarios = {
  'authorization-server-metadata-endpoint': ['authorization-server-metadata', 'authorization-server-metadata-cimd'],
  'authorization-code-grant': ['authorization-code-grant'],
} as const;

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

/** What the suite writes into the folder of each scenario. */
function readChecks(folder: string, scenario: string): Check[] {
  const name = readdirSync(folder).find((each) => each.includes(scenario)) ?? scenario;
  return parseJson<Check[]>(readFileSync(path.join(folder, name, 'checks.json'), 'utf8'));
}

/** What the browser of the user does. */
async function approveAndReturn(exposed: Exposed, url: string): Promise<void> {
  await send((await approve(exposed, url)).href);
}

const ways = {
  locally: () => startShared(),
  'at a relay, named in the path': async () =>
    startBehindRelay(await startRelay({ lifetime: 'file' }), {
      server: sharedServer,
      args: ['--oauth', '--name', 'files'],
      lifetime: 'file',
    }),
};

describe.each(Object.entries(ways))('the authorization server %s', (_way, start) => {
  let folder: string;
  let finished: Finished;
  beforeAll(async () => {
    folder = path.join(temporaryDirectory('file'), 'report');
    const exposed: Exposed = await start();
    const port = await freePort();
    const clientId = await register(exposed, `http://127.0.0.1:${port}/callback`);
    let approved: Promise<unknown> | undefined;
    const issuer = exposed.url.replace(/\/mcp$/, '');
    const client = ['--client-id', clientId, '--resource', exposed.url, '--port', String(port)];
    finished = await runInterop(suite, ['authorization', '--url', issuer, ...client, '--output-dir', folder], {
      lifetime: 'file',
      onOutput(stdout) {
        const [url] = /^http\S+\/authorize\?\S+$/m.exec(stdout) ?? [];
        if (url !== undefined) approved ??= approveAndReturn(exposed, url);
      },
    });
    await approved;
  });

  test.each(Object.entries(scenarios))('%s', (scenario, ids) => {
    const checks = readChecks(folder, scenario);
    const found = checks.map(({ id, status, errorMessage }) => [id, status, errorMessage]);
    expect(found).toEqual(ids.map((id) => [id, 'SUCCESS', undefined]));
  });

  test('are all scenarios, and the suite is content with them', () => {
    expect(readdirSync(folder)).toHaveLength(Object.keys(scenarios).length);
    expect(finished).toMatchObject({ code: 0 });
  });
});

test('as a server, with the access token of a client that has signed in', async () => {
  const exposed = await exposeConformance('stdio', { args: ['--oauth'] });
  const { access_token: token } = await signInByForm(exposed, { resource: exposed.url });
  const args = ['server', '--url', exposed.localUrl, '--requirements', '2025-11-25'];
  const finished = await runInterop(suite, args, { env: { BEARER_TOKEN: token }, preload });
  expect(finished).toMatchObject({ code: 0, stdout: expect.stringMatching(/\b0 failed\b/) });
});
