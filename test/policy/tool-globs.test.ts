import { expect, test } from 'vitest';
import { ToolGlobs } from '../../src/policy/tool-globs.ts';

const names = ['read_file', 'write_file', 'delete_file', 'list_directory', 'echo'];

test('a glob that matches a tool of some server is not warned of, whatever the option', () => {
  const globs = new ToolGlobs({ '--allow-tool': ['write_*', 'rm'], '--approve': ['ec?o'] });
  globs.note(names);
  globs.note(['rm']);
  expect(globs.warnings()).toEqual([]);
});

test.each([
  ['delte_file', 'delete_file, write_file, read_file'],
  ['DELETE_FILE', 'delete_file, write_file, read_file'],
  ['lst_*', 'list_directory, '],
  ['*_directry', 'list_directory, '],
])('one that matches none is warned of, with the closest names: %s', (glob, closest) => {
  const globs = new ToolGlobs({ '--deny-tool': [glob] });
  globs.note(names);
  expect(globs.warnings()).toEqual([
    expect.stringContaining(`--deny-tool ${glob} matches no tool; the closest: ${closest}`),
  ]);
});

test('where there are no tools, there is none that is close', () => {
  expect(new ToolGlobs({ '--deny-tool': ['rm'] }).warnings()).toEqual(['--deny-tool rm matches no tool']);
});

test('very long names are neither matched nor shown', () => {
  const globs = new ToolGlobs({ '--deny-tool': ['a*'] });
  globs.note(['a'.repeat(8193)]);
  expect(globs.warnings()).toEqual(['--deny-tool a* matches no tool']);
  globs.note(['a'.repeat(8192)]);
  expect(globs.warnings()).toEqual([]);
});
