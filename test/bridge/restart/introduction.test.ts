import { expect, test } from 'vitest';
import { Introduction } from '../../../src/bridge/restart/introduction.ts';
import { initialize, notification } from '../messages.ts';

test('what is held for the client comes with its origin, in order', () => {
  const introduction = new Introduction(initialize);
  const [one, two] = [notification('one'), notification('two')];
  introduction.hold({ message: one, origin: 7 });
  introduction.hold({ message: two });
  expect(introduction.held).toEqual([{ message: one, origin: 7 }, { message: two }]);
});

test('no more than 100 messages are held', () => {
  const introduction = new Introduction(initialize);
  for (let sent = 0; sent < 101; sent++) introduction.hold({ message: notification(`number ${sent}`) });
  expect(introduction.held.map(({ message }) => message.json['method'])).toEqual(
    Array.from({ length: 100 }, (_, place) => `number ${place}`),
  );
});

test('no more than 1 MiB is held, and a small message still finds room after a large one did not', () => {
  const introduction = new Introduction(initialize);
  const large = notification('large', { text: 'x'.repeat(600 * 1024) });
  const small = notification('small');
  for (const message of [large, large, small]) introduction.hold({ message });
  expect(introduction.held.map(({ message }) => message)).toEqual([large, small]);
});
