import { expect, test } from 'vitest';
import {
  createActiveResponses,
  type Listed,
  type ActiveResponses,
} from '../../../src/http/responses/active-responses.ts';

interface Named extends Listed {
  readonly name: string;
}

const item = (name: string): Named => ({ name, place: -1 });
const namesIn = (list: ActiveResponses<Named>): string[] => [...list].map(({ name }) => name).toSorted();

test('what was added is in it until it is removed', () => {
  const list = createActiveResponses<Named>();
  const [a, b, c] = [item('a'), item('b'), item('c')];
  for (const added of [a, b, c]) list.add(added);
  expect([namesIn(list), list.size]).toEqual([['a', 'b', 'c'], 3]);
  list.remove(a);
  expect([namesIn(list), list.size]).toEqual([['b', 'c'], 2]);
  list.remove(c);
  list.remove(b);
  expect([namesIn(list), list.size]).toEqual([[], 0]);
});

test('every order of leaving empties it', () => {
  for (const order of ['012', '021', '102', '120', '201', '210']) {
    const list = createActiveResponses<Named>();
    const items = ['0', '1', '2'].map(item);
    for (const added of items) list.add(added);
    for (const name of order) {
      const leaving = items.find((candidate) => candidate.name === name);
      if (leaving !== undefined) list.remove(leaving);
      expect(namesIn(list)).not.toContain(name);
    }
    expect(list.size).toBe(0);
  }
});

test('what has left can come back', () => {
  const list = createActiveResponses<Named>();
  const [a, b] = [item('a'), item('b')];
  list.add(a);
  list.add(b);
  list.remove(a);
  list.add(a);
  list.remove(b);
  expect(namesIn(list)).toEqual(['a']);
});
