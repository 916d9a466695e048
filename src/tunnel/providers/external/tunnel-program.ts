import { ExposeError } from '../../../errors.ts';
import { isInstalled, type HostEnvironment } from '../../host-environment.ts';
import type { TunnelSessionOptions } from '../../reconnect.ts';
import { ProcessSession, type ProcessSessionOptions } from './process-session.ts';

export type ProgramCall = Omit<
  ProcessSessionOptions,
  keyof TunnelSessionOptions | 'environment' | 'program' | 'installHint' | 'file'
>;

/** A program that makes tunnels, which the user has to install. */
export class TunnelProgram {
  readonly name: string;
  readonly #environment: HostEnvironment;
  readonly #installHint: string;

  /** @param name its file on PATH, and what its user calls it. */
  constructor(environment: HostEnvironment, name: string, installHint: string) {
    this.name = name;
    this.#environment = environment;
    this.#installHint = installHint;
  }

  async isInstalled(): Promise<boolean> {
    return await isInstalled(this.#environment, this.name);
  }

  notInstalled(): ExposeError {
    return new ExposeError('tunnel_not_installed', `${this.name} is not installed`, { hints: [this.#installHint] });
  }

  start(session: TunnelSessionOptions, call: ProgramCall): ProcessSession {
    return new ProcessSession({
      ...session,
      ...call,
      environment: this.#environment,
      file: this.name,
      program: this.name,
      installHint: this.#installHint,
    });
  }
}
