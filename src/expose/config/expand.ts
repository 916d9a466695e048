import path from 'node:path';

/** The values of the variables in a configuration. */
export interface Variables {
  /** The environment of this process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The workspace folder of the file, an absolute path. */
  readonly workspaceFolder: string;
  /** Undefined if the user has none. */
  readonly userHome: string | undefined;
  /** Whether `{env:NAME}` is a variable too, as in files of opencode. Default: it is text. */
  readonly hasBareBraces?: boolean;
}

export type Expansion =
  | { readonly text: string }
  /** `problem` completes a sentence that names the text: `"args[0]" uses …`. Neither contains a value. */
  | { readonly problem: string; readonly hint: string };

/**
 * What is replaced; any other `$`, `${` or `{` stays as it is.
 * - `${kind:name}`: of Cursor and VS Code; of these kinds, `env` is known here
 * - `${NAME}` and `${NAME:-default}`: Claude Code's environment variables, and the editors' own, such as `${userHome}`
 * - `${/}`: short for `${pathSeparator}`
 * - `{env:NAME}`: opencode's, in its own files, if there is such a variable
 */
const reference =
  /\$\{(?:(?<kind>[A-Za-z][A-Za-z0-9]*):(?!-)(?<inner>[^{}]+)|(?<name>[A-Za-z_]\w*)(?::-(?<otherwise>[^}]*))?|(?<slash>\/))\}|\{env:(?<plain>[A-Za-z_]\w*)\}/g;

/**
 * Replaces the variables of Claude Code, Cursor, VS Code and Windsurf in a text, once: variables in a value are not replaced.
 * @param childNames variables in the environment of the server: `${NAME}` of these stays as it is if this process has no such
 * variable, as Claude Desktop leaves all.
 */
export function expand(text: string, variables: Variables, childNames: ReadonlySet<string> = new Set()): Expansion {
  let failure: Expansion | undefined;
  function fail(problem: string, hint: string): string {
    failure ??= { problem, hint };
    return '';
  }

  function variable(written: string, name: string, otherwise: string | undefined): string {
    // Such a default would end at its first closing brace, and the rest would stay in the text.
    if (otherwise?.includes('{') === true) {
      return fail(`has a brace inside of the default of ${name}`, 'a default takes plain text only, no other variable');
    }
    const { env } = variables;
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    return value ?? otherwise ?? fail(`uses ${written}, but ${name} is not set`, `set ${name} in the environment`);
  }

  const expanded = text.replaceAll(reference, (written: string, ...rest: unknown[]) => {
    const { kind, inner = '', name = '', otherwise, slash, plain } = groupsOf(rest);
    if (slash !== undefined) return path.sep;
    if (plain !== undefined) {
      const isSet = variables.hasBareBraces === true && Object.hasOwn(variables.env, plain);
      return (isSet ? variables.env[plain] : undefined) ?? written;
    }
    if (kind === 'env') {
      const [variableName = '', ...defaults] = inner.split(':-');
      return variable(`\${env:${variableName}}`, variableName, defaults.length > 0 ? defaults.join(':-') : undefined);
    }
    if (kind === 'input') {
      const use = 'use an environment variable instead: ${env:NAME}';
      return fail(`uses \${input:${inner.slice(0, 80)}}, which only an editor can ask for`, use);
    }
    if (kind !== undefined) {
      return fail(`uses \${${kind}:…}, which only an editor can resolve`, 'write the value itself, or ${env:NAME}');
    }
    switch (name) {
      case 'workspaceFolder':
        return variables.workspaceFolder;
      case 'workspaceFolderBasename':
        return path.basename(variables.workspaceFolder);
      case 'userHome':
        return variables.userHome ?? fail('uses ${userHome}, but this user has no home folder', 'set HOME');
      case 'pathSeparator':
        return path.sep;
    }
    if (otherwise === undefined && childNames.has(name) && !Object.hasOwn(variables.env, name)) return written;
    return variable(written, name, otherwise);
  });
  return failure ?? { text: expanded };
}

/** A path whose leading `~` is the user's home. */
export function expandTilde(text: string, userHome: string | undefined): string {
  return userHome === undefined ? text : text.replace(/^~(?=$|[/\\])/, () => userHome);
}

/** The named groups are the last argument of a replacer. */
function groupsOf(rest: readonly unknown[]): Readonly<Record<string, string | undefined>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- ECMA-262, String.prototype.replace: it has named groups
  return rest.at(-1) as Readonly<Record<string, string | undefined>>;
}
