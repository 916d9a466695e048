// Everything that a test starts is ended after it, also when it fails; what a file starts in beforeAll, after the file.

export type Lifetime = 'test' | 'file';

type End = () => Promise<void> | void;

const endings: Record<Lifetime, End[]> = { test: [], file: [] };

/** Registers what ends a thing; the thing started last is ended first. */
export function atEnd(lifetime: Lifetime, end: End): void {
  endings[lifetime].push(end);
}

/** Called by end-all.ts. */
export async function endAll(lifetime: Lifetime): Promise<void> {
  const failures: unknown[] = [];
  for (const end of endings[lifetime].splice(0).toReversed()) {
    try {
      await end(); // oxlint-disable-line no-await-in-loop -- in order: the last one started depends on the others
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'something that a test started could not be ended');
}
