import { defineConfig, type ViteUserConfig } from 'vitest/config';

const reportFile = process.env['MCP_EXPOSE_TEST_REPORT'];

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Many tests start processes, on machines that do other things as well.
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    restoreMocks: true,
    unstubEnvs: true,
    reporters:
      reportFile === undefined || reportFile === '' ? ['default'] : ['default', ['json', { outputFile: reportFile }]],
  },
});

export default config;
