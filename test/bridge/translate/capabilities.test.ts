import { expect, test } from 'vitest';
import {
  capabilityFingerprint,
  declaresTasks,
  missingCapabilities,
  modernCapabilities,
  requiredCapabilities,
  runsToolsAsTasks,
  upstreamCapabilities,
} from '../../../src/bridge/translate/capabilities.ts';

test('a modern client’s capabilities as a legacy server sees them', () => {
  const declared = {
    roots: { listChanged: true },
    sampling: { tools: {} },
    elicitation: {},
    experimental: { e: { n: 1 } },
    extensions: { 'io.modelcontextprotocol/ui': {}, 'io.modelcontextprotocol/tasks': {} },
    tasks: {},
    unknown: {},
  };
  expect(upstreamCapabilities(declared)).toEqual({
    roots: {},
    sampling: { tools: {} },
    elicitation: {},
    experimental: { e: { n: 1 } },
    extensions: { 'io.modelcontextprotocol/ui': {} },
  });
  expect(upstreamCapabilities({ extensions: { 'io.modelcontextprotocol/tasks': {} } })).toEqual({});
  expect(upstreamCapabilities({ roots: true, sampling: null })).toEqual({});
  expect(upstreamCapabilities(undefined)).toEqual({});
});

test.each([
  [{ extensions: { 'io.modelcontextprotocol/tasks': {} } }, true],
  [{ extensions: { 'io.modelcontextprotocol/tasks': true } }, false],
  [{ extensions: {} }, false],
  [{ tasks: {} }, false],
  [undefined, false],
])('a modern client with %j declares tasks: %s', (capabilities, declares) => {
  expect(declaresTasks(capabilities)).toBe(declares);
});

test.each([
  [{ tasks: { requests: { tools: { call: {} } } } }, true],
  [{ tasks: { requests: { tools: {} } } }, false],
  [{ tasks: { list: {}, cancel: {} } }, false],
  [undefined, false],
])('a legacy server with %j runs tools as tasks: %s', (capabilities, runs) => {
  expect(runsToolsAsTasks(capabilities)).toBe(runs);
});

test('a fingerprint depends on what is said and not on how', () => {
  const one = { sampling: { a: 1, b: [1, { x: 1, y: 2 }] }, elicitation: {} };
  const same = { elicitation: {}, tasks: {}, sampling: { b: [1, { y: 2, x: 1 }], a: 1 } };
  expect(capabilityFingerprint(one)).toBe(capabilityFingerprint(same));
  const others = [
    { elicitation: {} },
    { elicitation: { form: {} } },
    { sampling: { a: 1, b: [] }, elicitation: {} },
    {},
  ];
  expect(new Set([one, ...others].map(capabilityFingerprint)).size).toBe(5);
});

test('a legacy client’s capabilities as a modern server sees them', () => {
  const declared = Buffer.from(
    '{"roots":{"listChanged":true},"tasks":{"list":{}},"x":1.0,"extensions":{"io.modelcontextprotocol/tasks":{},"y":{}}}',
  );
  expect(modernCapabilities(declared).toString()).toBe('{"roots":{"listChanged":true},"x":1.0,"extensions":{"y":{}}}');
});

test.each([
  ['roots/list', undefined, { roots: {} }],
  ['sampling/createMessage', {}, { sampling: {} }],
  ['sampling/createMessage', { tools: [] }, { sampling: { tools: {} } }],
  ['sampling/createMessage', { toolChoice: {} }, { sampling: { tools: {} } }],
  ['elicitation/create', { message: 'm' }, { elicitation: { form: {} } }],
  ['elicitation/create', { mode: 'form' }, { elicitation: { form: {} } }],
  ['elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }],
  ['ping', {}, undefined],
  ['tasks/get', {}, undefined],
])('%s with %j requires %j', (method, params, required) => {
  expect(requiredCapabilities(method, params)).toEqual(required);
});

test.each([
  [{ roots: {} }, {}, { roots: {} }],
  [{ roots: {} }, undefined, { roots: {} }],
  [{ roots: {} }, { roots: {} }, undefined],
  [{ roots: {} }, { roots: true }, { roots: {} }],
  [{ elicitation: { form: {} } }, { elicitation: {} }, undefined],
  [{ elicitation: { form: {} } }, { elicitation: { url: {} } }, { elicitation: { form: {} } }],
  [{ elicitation: { url: {} } }, { elicitation: {} }, { elicitation: { url: {} } }],
  [{ sampling: { tools: {} }, roots: {} }, { sampling: {}, roots: {} }, { sampling: { tools: {} } }],
])('of %j, %j lacks %j', (required, declared, missing) => {
  expect(missingCapabilities(required, declared)).toEqual(missing);
});
