import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const reportFile = process.env['MCP_EXPOSE_TEST_REPORT'];

/** Files that take long, the longest first: what begins last should be short, so that no core is idle at the end. */
const longest = [
  /\/(?:endings|chaos|fuzz|relay-blackout|relay-gone)\.test\.ts$/,
  /\/(?:interop|e2e|attacks|defects)\//,
  /\/providers\//,
];

const rank = ({ moduleId }: TestSpecification): number => {
  const place = longest.findIndex((pattern) => pattern.test(moduleId));
  return place === -1 ? longest.length : place;
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files); // oxlint-disable-line no-array-sort -- the runner's method, not that of an array
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

/** Files that replace modules or timers, for everybody in the same process. */
const replacing = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.test.ts') && /\bvi\.(?:mock|useFakeTimers)\(/.test(readFileSync(file, 'utf8')));

const config: ViteUserConfig = defineConfig({
  test: {
    setupFiles: ['test/harness/end-all.ts'],
    // Many tests start processes, on machines that do other things as well.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most tests wait, for other processes or for time to pass. With more, a machine of two cores is always busy, and slow.
    maxWorkers: 2 * availableParallelism(),
    sequence: { sequencer: LongestFirst },
    restoreMocks: true,
    unstubEnvs: true,
    reporters:
      reportFile === undefined || reportFile === '' ? ['default'] : ['default', ['json', { outputFile: reportFile }]],
    projects: [
      {
        extends: true,
        // A process for each file, which imports everything anew, costs more than most files do.
        test: {
          name: 'tests',
          include: ['test/**/*.test.ts', ...replacing.map((file) => `!${file}`)],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'isolated', include: replacing } },
    ],
  },
});

export default config;
