import { expect, test } from 'vitest';
import { eraOf, firstModernRevision, legacyRevisions, preferredRevision } from '../../src/mcp/revisions.ts';

test.each([
  ['2024-10-07', 'legacy'],
  ['2024-11-05', 'legacy'],
  ['2025-03-26', 'legacy'],
  ['2025-06-18', 'legacy'],
  ['2025-11-25', 'legacy'],
  ['2026-07-27', 'legacy'],
  ['2026-07-28', 'modern'],
  ['2027-01-01', 'modern'],
])('revision %s is of the %s era', (revision, era) => {
  expect(eraOf(revision)).toBe(era);
});

test('all legacy revisions are of the legacy era, newest first', () => {
  expect(legacyRevisions.every((revision) => revision < firstModernRevision)).toBe(true);
  expect(legacyRevisions).toEqual([...legacyRevisions].toSorted().toReversed());
});

test('the revision that we offer is one that we serve', () => {
  expect(legacyRevisions).toContain(preferredRevision);
});
