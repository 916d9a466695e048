import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { BackPressure } from '../../../src/http/responses/back-pressure.ts';
import type { HttpResponse } from '../../../src/http/message.ts';

/** A response of which only the fill level matters. */
class FakeResponse extends EventEmitter implements HttpResponse {
  readonly headersSent = true;
  writableLength = 0;
  setHeader(): void {}
  writeHead(): void {}
  write(): boolean {
    return true;
  }
  end(): void {}
  cork(): void {}
  uncork(): void {}
  destroy(): void {}
}

const limit = 64 * 1024;

test('up to 64 KiB may wait for a client', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  expect(watched.isWritable()).toBe(true);
  response.writableLength = limit - 1;
  expect(watched.isWritable()).toBe(true);
  response.writableLength = limit;
  expect(watched.isWritable()).toBe(false);
});

test('everybody who waits is called once when it has drained', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  const called: string[] = [];
  watched.whenWritable(() => called.push('first'));
  watched.whenWritable(() => called.push('second'));
  expect(called).toEqual([]);
  response.emit('drain');
  response.emit('drain');
  response.emit('close');
  expect(called).toEqual(['first', 'second']);
});

test('who waits for a client that goes is called once', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  let called = 0;
  watched.whenWritable(() => called++);
  response.emit('close');
  response.emit('drain');
  expect(called).toBe(1);
});

test('nobody waits for a client that has gone, however much was left unread', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  response.writableLength = 10 * limit;
  response.emit('close');
  let called = 0;
  watched.whenWritable(() => called++);
  expect([watched.isWritable(), called]).toEqual([true, 1]);
});

test('who waits again while being called is called the next time', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  let called = 0;
  watched.whenWritable(() => {
    called++;
    watched.whenWritable(() => called++);
  });
  response.emit('drain');
  expect(called).toBe(1);
  response.emit('drain');
  expect(called).toBe(2);
});

test('many who wait leave no listeners behind', () => {
  const response = new FakeResponse();
  const watched = new BackPressure(response);
  for (let count = 0; count < 100; count++) watched.whenWritable(() => {});
  expect(response.listenerCount('drain') + response.listenerCount('close')).toBeLessThan(5);
});
