import { stat } from 'node:fs/promises';
import path from 'node:path';

import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider, type TunnelSessionOptions } from '../external/external-provider.ts';
import { isInstalled, type HostEnvironment } from '../../host-environment.ts';
import { startProcessSession } from '../external/process-session.ts';
import type { TunnelSession } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { createZrokReader } from './output.ts';

type Program = 'zrok2' | 'zrok';

const installHint =
  'https://docs.zrok.io tells how to install it; then run zrok2 enable with the token of your account';

export interface ZrokOptions {
  readonly environment: HostEnvironment;
  /** A reserved name: `<name>` or, in zrok 2, `<namespace>:<name>`; in zrok 1, the token of a reserved share. */
  readonly name?: string | undefined;
}

/**
 * A public share of zrok's. zrok 2 has a program and a folder of its own, `zrok2` and `~/.zrok2`; where both are installed, it
 * goes first.
 * @throws ExposeError `usage` for a name that cannot be one.
 */
export function createZrokProvider({ environment, name }: ZrokOptions): TunnelProvider {
  if (name !== undefined && !/^(?:[A-Za-z0-9._-]+:)?[A-Za-z0-9][A-Za-z0-9-]*$/.test(name)) {
    throw new ExposeError('usage', `${JSON.stringify(name)} is not a name that zrok could know`, {
      hints: ['write the name alone, or <namespace>:<name>'],
    });
  }

  /** The first that is enabled, or else the first that is there. */
  async function findProgram(): Promise<{ readonly program: Program; readonly isEnabled: boolean } | undefined> {
    const found = await Promise.all(
      (['zrok2', 'zrok'] as const).map(async (program) => ({
        program,
        isThere: await isInstalled(environment, program),
        isEnabled: await hasEnvironment(environment.env, program),
      })),
    );
    const there = found.filter(({ isThere }) => isThere);
    return there.find(({ isEnabled }) => isEnabled) ?? there[0];
  }

  async function unusable(): Promise<string | undefined> {
    const found = await findProgram();
    if (found === undefined) return 'zrok is not installed';
    return found.isEnabled ? undefined : `${found.program} is not enabled: run ${found.program} enable`;
  }

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    const found = await findProgram();
    if (found === undefined) {
      throw new ExposeError('tunnel_not_installed', 'zrok is not installed', { hints: [installHint] });
    }
    const { program } = found;
    const target = `http://127.0.0.1:${options.port}`;
    return await startProcessSession({
      ...options,
      environment,
      program,
      installHint,
      file: program,
      args: program === 'zrok2' ? argumentsOf2(target, name, environment.env) : argumentsOf1(target, name),
      read: createZrokReader(program),
    }).started;
  }

  return createExternalProvider({ environment, capabilities: capabilities.zrok, unusable, start });
}

/**
 * zrok 2 has no `share reserved`: a name is chosen by `-n <namespace>:<name>` (website/docs/how-tos/migration/migrate-v1-to-v2.md
 * and manage-reserved-names.md of openziti/zrok). Without `--force-local` an agent in the background would be told to share, and
 * the program would end while the share goes on without us.
 */
function argumentsOf2(target: string, name: string | undefined, env: NodeJS.ProcessEnv): string[] {
  const namespace = env['ZROK2_DEFAULT_NAMESPACE'] ?? 'public';
  const selection = name === undefined ? [] : ['-n', name.includes(':') ? name : `${namespace}:${name}`];
  return ['share', 'public', target, '--headless', '--force-local', ...selection];
}

/** The target of a reserved share is what it was reserved with, unless another is given (cmd/zrok/shareReserved.go of v1.1). */
function argumentsOf1(target: string, name: string | undefined): string[] {
  return name === undefined
    ? ['share', 'public', target, '--headless', '--force-local']
    : ['share', 'reserved', name, '--override-endpoint', target, '--headless', '--force-local'];
}

/** `enable` leaves this file (environment/env_v0_4/dirs.go, of v1 and v2). */
async function hasEnvironment(env: NodeJS.ProcessEnv, program: Program): Promise<boolean> {
  const file = path.join(env['HOME'] ?? env['USERPROFILE'] ?? '', `.${program}`, 'environment.json');
  return await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
