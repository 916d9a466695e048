// The official conformance suite of one era in front of a server of the other, and of the modern era in front of a modern
// server. What cannot pass is named with its reason; what passes all the same fails the run.
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { type Finished, runInterop } from '../harness/interop.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { type Check, preload, readReport, required, statusesOf } from './conformance-stories.ts';

const suite = 'conformance-0.2.0-alpha.12';

/** What the modern era requires, and the three scenarios beyond, which the suite runs and does not score. */
const modern = [
  'server-stateless',
  'completion-complete',
  'tools-list',
  'tools-call-simple-text',
  'tools-call-image',
  'tools-call-audio',
  'tools-call-embedded-resource',
  'tools-call-mixed-content',
  'tools-call-error',
  'tools-call-with-progress',
  'server-sse-multiple-streams',
  'resources-list',
  'resources-read-text',
  'resources-read-binary',
  'resources-templates-read',
  'sep-2164-resource-not-found',
  'prompts-list',
  'prompts-get-simple',
  'prompts-get-with-args',
  'prompts-get-embedded-resource',
  'prompts-get-with-image',
  'dns-rebinding-protection',
  'caching',
  'input-required-result-basic-elicitation',
  'input-required-result-basic-sampling',
  'input-required-result-basic-list-roots',
  'input-required-result-request-state',
  'input-required-result-multiple-input-requests',
  'input-required-result-multi-round',
  'input-required-result-missing-input-response',
  'input-required-result-non-tool-request',
  'input-required-result-result-type',
  'input-required-result-unsupported-methods',
  'input-required-result-tampered-state',
  'input-required-result-capability-check',
  'input-required-result-ignore-extra-params',
  'input-required-result-validate-input',
];
const modernUnscored = ['json-schema-2020-12', 'http-header-validation', 'http-custom-header-server-validation'];
const legacyUnscored = ['json-schema-2020-12', 'server-sse-polling', 'server-session-lifecycle'];

interface Run {
  what: string;
  server: string;
  flags: string[];
  scenarios: readonly string[];
  /** Scenario → why it cannot pass; each of its checks that fails is to be named. */
  exceptions: Record<string, { checks: string[]; reason: string }>;
}

const serverKeys =
  'it looks for the key that the server gave to its question; a legacy server gives none, and the bridge has to make one up';
const answersInAdvance =
  'it answers, in its first call, a question that it knows by heart; a legacy server has not asked it yet';

const runs: Run[] = [
  {
    what: 'the modern suite, a modern server',
    server: 'conformance-modern',
    flags: ['--suite', 'all', '--spec-version', '2026-07-28'],
    scenarios: [...modern, ...modernUnscored],
    exceptions: {},
  },
  {
    what: 'the modern suite, a legacy server',
    server: 'conformance',
    flags: ['--suite', 'all', '--spec-version', '2026-07-28'],
    scenarios: [...modern, ...modernUnscored],
    exceptions: {
      'input-required-result-basic-elicitation': { checks: ['sep-2322-elicitation-incomplete'], reason: serverKeys },
      'input-required-result-ignore-extra-params': {
        checks: ['sep-2322-ignore-unexpected-params'],
        reason: answersInAdvance,
      },
    },
  },
  {
    what: 'the legacy suite, a modern server',
    server: 'conformance-modern',
    flags: ['--requirements', '2025-11-25'],
    scenarios: [...required, ...legacyUnscored],
    exceptions: {},
  },
];

describe.each(runs)('$what', ({ server, flags, scenarios, exceptions }) => {
  let finished: Finished;
  let report: Map<string, Check[]>;
  beforeAll(async () => {
    const exposed: Exposed = await startExpose({ server: fixture(server), lifetime: 'file' });
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
    const failed = statusesOf(checks, 'FAILURE', 'WARNING', 'SKIPPED');
    const expected = exceptions[scenario]?.checks ?? [];
    expect(failed?.map((each) => each.split(':')[0])).toEqual(expected);
    expect(failed).toHaveLength(expected.length);
  });

  test('are all scenarios', () => {
    expect([...report.keys()].toSorted()).toEqual(scenarios.toSorted());
    expect(scenarios).toEqual(expect.arrayContaining(Object.keys(exceptions)));
  });
});

/**
 * The extension for tasks, which the suite runs by name only. `tasks-status-notifications` is not among them: it checks nothing
 * yet.
 */
const taskScenarios = [
  'tasks-lifecycle',
  'tasks-capability-negotiation',
  'tasks-wire-fields',
  'tasks-request-state-removal',
  'tasks-mrtr-input',
  'tasks-request-headers',
  'tasks-dispatch-and-envelope',
  'tasks-required-task-error',
  'tasks-mrtr-composition',
];

/** A tool that must run as a task is run as one, and its result awaited: the server is able to serve such a client. */
const taskExceptions: Record<string, string[]> = {
  'tasks-required-task-error': ['sep-2663-server-returns-missing-capability-when-required'],
};

describe('the extension for tasks, a legacy server', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('tasks'), lifetime: 'file' });
  });

  test.each(taskScenarios)('%s', async (scenario) => {
    const folder = path.join(temporaryDirectory(), 'report');
    const named = ['--scenario', scenario, '--spec-version', '2026-07-28', '--force', '--output-dir', folder];
    const finished = await runInterop(suite, ['server', '--url', exposed.localUrl, ...named], {
      env: { BEARER_TOKEN: exposed.token },
      preload,
    });
    const checks = readReport(folder).get(scenario);
    expect(checks, `${scenario} was not run:\n${finished.stdout}\n${finished.stderr}`).toBeDefined();
    const failed = statusesOf(checks, 'FAILURE', 'WARNING', 'SKIPPED');
    expect(failed?.map((each) => each.split(':')[0])).toEqual(taskExceptions[scenario] ?? []);
  });
});
