// I can switch the guard off for myself, and not for the whole world by accident.
import { describe, expect, test } from 'vitest';
import { launchExpose, startExpose, startRelay } from '../harness/expose.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { initializeRequest } from '../harness/raw-mcp.ts';

const anonymous: [string, string][] = [
  ['Accept', 'application/json, text/event-stream'],
  ['Content-Type', 'application/json'],
];
const initialize = (url: string, more: [string, string][] = []) =>
  send(url, { method: 'POST', headers: [...anonymous, ...more], body: initializeRequest() });

test('--no-auth on loopback works without a token, and warns', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--no-auth'] });
  expect(exposed.ready.token).toBeNull();
  expect((await initialize(exposed.url)).status).toBe(200);
  await expect(exposed.waitForStderr(/warning.*(auth|anybody|anyone|token)/i)).resolves.toBeDefined();
});

test('--no-auth still refuses a foreign Host and Origin: a web page is no invited caller', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--no-auth'] });
  expect((await initialize(exposed.url, [['Host', 'evil.example']])).status).toBe(403);
  expect((await initialize(exposed.url, [['Origin', 'http://evil.example']])).status).toBe(403);
});

describe('--no-auth beyond loopback', () => {
  test.each<[string, string[]]>([
    ['--tunnel relay', ['--tunnel', 'relay', '--relay', 'http://127.0.0.1:9']],
    ['--tunnel lan', ['--tunnel', 'lan', '--lan-address', '127.0.0.1']],
    ['--tunnel auto with a relay', ['--relay', 'http://127.0.0.1:9']],
    ['--host 0.0.0.0', ['--host', '0.0.0.0']],
    ['--host ::', ['--host', '::']],
  ])('%s is refused with exit code 2, and the flag that allows it is named', async (_what, args) => {
    const run = launchExpose({ server: fixture('echo'), args: ['--no-auth', ...args] });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain('--allow-unauthenticated-public');
    expect(run.stdout()).not.toContain('"ready"');
    expect(processesWithMark(run.mark)).toEqual([]);
  });

  test('with --allow-unauthenticated-public it is open through the relay, and warns', async () => {
    const relay = await startRelay();
    const exposed = await startExpose({
      server: fixture('echo'),
      args: ['--no-auth', '--allow-unauthenticated-public', '--tunnel', 'relay', '--relay', relay.url],
    });
    expect((await initialize(exposed.url)).status).toBe(200);
    await expect(exposed.waitForStderr(/warning/i)).resolves.toBeDefined();
  });

  test('the environment twin counts as much as the option', async () => {
    const run = launchExpose({ server: fixture('echo'), args: ['--no-auth'], env: { MCP_EXPOSE_HOST: '0.0.0.0' } });
    expect(await run.exited).toBe(2);
  });

  test('a token file together with --no-auth is a contradiction', async () => {
    const run = launchExpose({ server: fixture('echo'), args: ['--no-auth', '--token-file', '/tmp/any'] });
    expect(await run.exited).toBe(2);
  });
});
