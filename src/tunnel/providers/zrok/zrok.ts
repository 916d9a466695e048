import { stat } from 'node:fs/promises';
import path from 'node:path';

import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { createZrokReader } from './output.ts';

const installHint =
  'https://docs.zrok.io explains how to install it; then run zrok2 enable with the token of your account';

export interface ZrokOptions {
  readonly environment: HostEnvironment;
  /** A reserved name: `<name>` or, in zrok 2, `<namespace>:<name>`; in zrok 1, the token of a reserved share. */
  readonly name?: string | undefined;
}

/**
 * A public share of zrok. zrok 2 has its own program and folder, `zrok2` and `~/.zrok2`, and is preferred.
 * @throws ExposeError `usage` for an invalid name.
 */
export function createZrokProvider({ environment, name }: ZrokOptions): TunnelProvider {
  if (name !== undefined && !/^(?:[A-Za-z0-9._-]+:)?[A-Za-z0-9][A-Za-z0-9-]*$/.test(name)) {
    throw new ExposeError('usage', `${JSON.stringify(name)} is not a name that zrok could know`, {
      hints: ['write the name alone, or <namespace>:<name>'],
    });
  }

  const zrok1 = new TunnelProgram(environment, 'zrok', installHint);
  const zrok2 = new TunnelProgram(environment, 'zrok2', installHint);

  /** The first that is enabled, or else the first that is installed. */
  async function findProgram(): Promise<{ readonly program: TunnelProgram; readonly isEnabled: boolean } | undefined> {
    const all = await Promise.all(
      [zrok2, zrok1].map(async (program) => ({
        program,
        isThere: await program.isInstalled(),
        isEnabled: await hasEnvironment(environment.env, program.name),
      })),
    );
    const installed = all.filter(({ isThere }) => isThere);
    return installed.find(({ isEnabled }) => isEnabled) ?? installed[0];
  }

  async function unusable(): Promise<string | undefined> {
    const found = await findProgram();
    if (found === undefined) return zrok1.notInstalled().message;
    const { name: program } = found.program;
    return found.isEnabled ? undefined : `${program} is not enabled: run ${program} enable`;
  }

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    const found = await findProgram();
    if (found === undefined) throw zrok1.notInstalled();
    const { program } = found;
    const target = `http://127.0.0.1:${options.port}`;
    return await program.start(options, {
      args: program === zrok2 ? argumentsOf2(target, name, environment.env) : argumentsOf1(target, name),
      read: createZrokReader(program.name),
    }).started;
  }

  return createExternalProvider({ environment, capabilities: capabilities.zrok, unusable, start });
}

/**
 * zrok 2 has no `share reserved`: a name is selected with `-n <namespace>:<name>`
 * (website/docs/how-tos/migration/migrate-v1-to-v2.md and manage-reserved-names.md of openziti/zrok). Without `--force-local`,
 * a background agent would share, and the program would exit while the share continues.
 */
function argumentsOf2(target: string, name: string | undefined, env: NodeJS.ProcessEnv): string[] {
  const namespace = env['ZROK2_DEFAULT_NAMESPACE'] ?? 'public';
  const selection = name === undefined ? [] : ['-n', name.includes(':') ? name : `${namespace}:${name}`];
  return ['share', 'public', target, '--headless', '--force-local', ...selection];
}

/**
 * A reserved share leads to the target that it was reserved with, unless that is overridden (cmd/zrok/shareReserved.go of
 * v1.1).
 */
function argumentsOf1(target: string, name: string | undefined): string[] {
  return name === undefined
    ? ['share', 'public', target, '--headless', '--force-local']
    : ['share', 'reserved', name, '--override-endpoint', target, '--headless', '--force-local'];
}

/** `enable` creates this file (environment/env_v0_4/dirs.go, of v1 and v2). */
async function hasEnvironment(env: NodeJS.ProcessEnv, program: string): Promise<boolean> {
  const file = path.join(env['HOME'] ?? env['USERPROFILE'] ?? '', `.${program}`, 'environment.json');
  return await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
