import { expect, test } from 'vitest';
import { endFlag, frameTypes } from '../../../../src/tunnel/relay/protocol/frames.ts';
import { rawFrame } from '../protocol/raw-frame.ts';
import { servedPair } from './served-pair.ts';

test('a request whose client has gone before anybody read it does not seem complete', async () => {
  const events: string[] = [];
  const { agent, until } = servedPair((request, response) => {
    request.on('data', () => events.push('data'));
    request.on('end', () => events.push('end'));
    request.on('close', () => events.push('request close'));
    response.on('close', () => events.push('response close'));
    request.pause();
  });
  const head = rawFrame(frameTypes.head, 1, '{"method":"POST","path":"/mcp","headers":["content-length","2"]}');
  // As after a stall: both messages are in one read of the socket.
  agent.receive(Buffer.concat([head, rawFrame(frameTypes.data | endFlag, 1, '{}')]));
  agent.receive(rawFrame(frameTypes.reset, 1, 0));
  await until(() => events.includes('request close'), 'the end of the request');
  expect(events).toEqual(['response close', 'request close']);
});
