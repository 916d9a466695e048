// The official conformance suite in front of mcp-expose, for each way in which mcp-expose may reach its server.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { exposeConformance, type Finished, runInterop, type UpstreamKind } from '../harness/interop.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';

const revision = '2025-11-25';

/** The 30 scenarios that the suite's requirements for the revision name. */
export const required: readonly string[] = [
  'server-initialize',
  'logging-set-level',
  'ping',
  'completion-complete',
  'tools-list',
  'tools-call-simple-text',
  'tools-call-image',
  'tools-call-audio',
  'tools-call-embedded-resource',
  'tools-call-mixed-content',
  'tools-call-with-logging',
  'tools-call-error',
  'tools-call-with-progress',
  'tools-call-sampling',
  'tools-call-elicitation',
  'elicitation-sep1034-defaults',
  'server-sse-multiple-streams',
  'elicitation-sep1330-enums',
  'resources-list',
  'resources-read-text',
  'resources-read-binary',
  'resources-templates-read',
  'resources-subscribe',
  'resources-unsubscribe',
  'prompts-list',
  'prompts-get-simple',
  'prompts-get-with-args',
  'prompts-get-embedded-resource',
  'prompts-get-with-image',
  'dns-rebinding-protection',
];

/** Scenarios beyond those, which the suite runs and does not score. */
const suites = [
  {
    suite: 'conformance-0.1.16',
    flags: ['--suite', 'all', '--spec-version', revision],
    scenarios: [...required, 'json-schema-2020-12', 'server-sse-polling'],
  },
  {
    suite: 'conformance-0.2.0-alpha.12',
    flags: ['--requirements', revision],
    scenarios: [...required, 'json-schema-2020-12', 'server-sse-polling', 'server-session-lifecycle'],
  },
] as const;

/** Looks at what only an event stream can show, and is content where the answer to a call is JSON. */
const mayShowNothing = 'server-sse-polling';

export interface Check {
  id: string;
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  errorMessage?: string;
  details?: { statusCode?: number };
}

export const preload: string = fileURLToPath(new URL('send-bearer.js', import.meta.url));

/** The suite writes `server-<scenario>-<time>/checks.json` for each scenario that it has run. */
export function readReport(folder: string): Map<string, Check[]> {
  const report = new Map<string, Check[]>();
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const [, scenario = name] = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name) ?? [];
    report.set(scenario, parseJson<Check[]>(readFileSync(path.join(folder, name, 'checks.json'), 'utf8')));
  }
  return report;
}

export const statusesOf = (checks: Check[] | undefined, ...statuses: Check['status'][]): string[] | undefined =>
  checks?.filter(({ status }) => statuses.includes(status)).map(({ id, errorMessage }) => `${id}: ${errorMessage}`);

/** Registers the tests: one for each scenario of each version of the suite. */
export function describeConformance(kind: UpstreamKind): void {
  describe(`in front of a server over ${kind}`, () => {
    let exposed: Exposed;
    beforeAll(async () => {
      exposed = await exposeConformance(kind, { lifetime: 'file' });
    });

    describe.each(suites)('$suite', ({ suite, flags, scenarios }) => {
      let finished: Finished;
      let report: Map<string, Check[]>;
      beforeAll(async () => {
        const folder = path.join(temporaryDirectory('file'), 'report');
        finished = await runInterop(suite, ['server', '--url', exposed.localUrl, ...flags, '--output-dir', folder], {
          env: { BEARER_TOKEN: exposed.token },
          preload,
          lifetime: 'file',
        });
        report = readReport(folder);
      });

      test.each(scenarios)('%s', (scenario) => {
        const checks = report.get(scenario);
        expect(checks, `${scenario} was not run:\n${finished.stdout}\n${finished.stderr}`).toBeDefined();
        expect(statusesOf(checks, 'FAILURE', 'WARNING', 'SKIPPED')).toEqual([]);
        const shown = statusesOf(checks, 'SUCCESS') ?? [];
        expect(shown.length).toBeGreaterThanOrEqual(scenario === mayShowNothing ? 0 : 1);
      });

      test('are all scenarios, and the suite is content with them', () => {
        expect([...report.keys()].toSorted()).toEqual([...scenarios].toSorted());
        expect(finished).toMatchObject({ code: 0 });
      });

      test('dns-rebinding-protection met the guard, not a missing token', () => {
        const statuses = report.get('dns-rebinding-protection')?.map(({ id, details }) => [id, details?.statusCode]);
        expect(statuses?.filter(([id]) => id !== 'wire-schema-valid')).toEqual([
          ['localhost-host-rebinding-rejected', 403],
          ['localhost-host-valid-accepted', 200],
        ]);
      });

      test('without the token not even ping gets through', async () => {
        const { code, stdout } = await runInterop(suite, ['server', '--url', exposed.localUrl, '--scenario', 'ping']);
        expect(stdout).toContain('bearer');
        expect(code).toBe(1);
      });
    });
  });
}
