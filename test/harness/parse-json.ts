/** JSON whose shape the test states and then asserts: a wrong shape fails the test that reads it. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller states the shape
export function parseJson<T>(json: string): T {
  const value: T = JSON.parse(json);
  return value;
}
