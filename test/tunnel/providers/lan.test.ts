import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import { lanAddresses } from '../../../src/platform/net/addresses.ts';
import { createLanProvider } from '../../../src/tunnel/providers/lan.ts';
import { createRelayProvider } from '../../../src/tunnel/providers/relay.ts';
import type { TunnelTarget } from '../../../src/tunnel/provider.ts';
import { ask, echo, inTurn, noListener, overTunnel, portOf } from '../relay/world.ts';

const options = { signal: new AbortController().signal, onStatus: () => undefined, onWarning: () => undefined };

const addresses = ['127.0.0.2', '127.0.0.3'];

/** A local listener on 127.0.0.1, whose port is free elsewhere. */
async function localListener(): Promise<{ target: TunnelTarget; close: () => void }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  return { target: { handler: overTunnel(echo), localPort: port, listen: noListener }, close: () => server.close() };
}

test('every address leads to the handler, at the root path and the port of the local listener', async () => {
  const { target, close } = await localListener();
  const tunnel = await createLanProvider({ addresses }).open(target, options);
  expect(tunnel.publicUrls).toEqual(addresses.map((address) => `http://${address}:${target.localPort}`));
  await inTurn(tunnel.publicUrls, async (url) => {
    const reply = await ask(`${url}/mcp?x`);
    expect(JSON.parse(reply.body)).toMatchObject({ url: '/mcp?x', headers: { host: new URL(url).host } });
  });
  await tunnel.close();
  await tunnel.close();
  await expect(ask(tunnel.publicUrls[0] ?? '')).rejects.toThrow('ECONNREFUSED');
  close();
});

test('when that port is taken on an address, another one is used on all', async () => {
  const { target, close } = await localListener();
  const duplicateKey = createServer();
  duplicateKey.listen(target.localPort, '127.0.0.3');
  await once(duplicateKey, 'listening');
  const tunnel = await createLanProvider({ addresses }).open(target, options);
  const ports = tunnel.publicUrls.map((url) => Number(new URL(url).port));
  expect(new Set(ports).size).toBe(1);
  expect(ports[0]).not.toBe(target.localPort);
  await tunnel.close();
  duplicateKey.close();
  close();
});

test('a port that was asked for is never silently another one', async () => {
  const { target, close } = await localListener();
  const opened = createLanProvider({ addresses: ['127.0.0.1'], port: target.localPort }).open(target, options);
  await expect(opened).rejects.toMatchObject({ code: 'address_in_use' });
  close();
});

test('nobody else can join as an agent', async () => {
  const { target, close } = await localListener();
  const tunnel = await createLanProvider({ addresses }).open(target, options);
  const duplicateKey = createRelayProvider({ relayUrl: tunnel.publicUrls[0] ?? '', keys: createIdentity(), env: {} });
  await expect(duplicateKey.open(target, options)).rejects.toThrow('this relay serves one agent only (auth)');
  expect((await ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
  await tunnel.close();
  close();
});

test('no address: a clear error', async () => {
  const opened = createLanProvider({ addresses: [] }).open(
    { handler: overTunnel(echo), localPort: 1, listen: noListener },
    options,
  );
  await expect(opened).rejects.toMatchObject({ code: 'tunnel_unavailable' });
});

test('an address that is not this machine’s: an error that names it and the option', async () => {
  const opened = createLanProvider({ addresses: ['203.0.113.7'] }).open(
    { handler: overTunnel(echo), localPort: 0, listen: noListener },
    options,
  );
  await expect(opened).rejects.toMatchObject({
    code: 'tunnel_unavailable',
    message: "cannot listen on 203.0.113.7, which must be this machine's own",
  });
});

test('it says that the path is not encrypted', () => {
  expect(createLanProvider().notice).toContain('not encrypted');
  expect(createLanProvider().notice).toContain('token');
});

const reachable = lanAddresses(networkInterfaces());
const ipv4 = reachable.filter((address) => !address.includes(':'));

test.each([
  ['0.0.0.0', ipv4],
  ['::', reachable],
])('%s stands for every address that others can use', async (address, expected) => {
  const { target, close } = await localListener();
  const tunnel = await createLanProvider({ addresses: [address] })
    .open(target, options)
    .catch(() => undefined);
  const hosts = (tunnel?.publicUrls ?? []).map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  expect(hosts).toEqual(expected);
  await tunnel?.close();
  close();
});
