import { severities } from '../../mcp/log-levels.ts';

/** A level that the server is to be told. */
export interface LevelChange {
  readonly level: string;
  /** To be called with the server's answer. A level that it refused counts for nobody. */
  settle(failed: boolean): void;
}

/** The log levels of several clients of one server, which is told the most verbose of them. */
export class SharedLevels<Owner> {
  readonly #asked = new Map<Owner, number>();
  /** What the server was told last, and whether it has agreed. */
  #told: { readonly severity: number; confirmed: boolean } | undefined;

  /**
   * A client asks for a level. Returns what the server has to be told first, or undefined when it knows already;
   * `unknown` when it is no level.
   */
  ask(owner: Owner, level: unknown): LevelChange | 'unknown' | undefined {
    const asked = this.#asked;
    const severity = severities.indexOf(level);
    if (severity === -1) return 'unknown';
    const before = asked.get(owner);
    asked.set(owner, severity);
    return this.#tell(() => {
      // Unless the client has gone or asked for another one since.
      if (asked.get(owner) !== severity) return;
      if (before === undefined) asked.delete(owner);
      else asked.set(owner, before);
    });
  }

  /** The client has gone. Returns what the server has to be told now. */
  release(owner: Owner): LevelChange | undefined {
    return this.#asked.delete(owner) ? this.#tell(() => {}) : undefined;
  }

  /** Whether a log message of this level is for this client. One that never asked for a level gets all that comes. */
  passes(owner: Owner, level: unknown): boolean {
    const severity = severities.indexOf(level);
    return severity === -1 || severity >= (this.#asked.get(owner) ?? 0);
  }

  #tell(undo: () => void): LevelChange | undefined {
    let severity = severities.length;
    for (const each of this.#asked.values()) severity = Math.min(severity, each);
    const level = severities[severity];
    if (typeof level !== 'string' || (this.#told?.severity === severity && this.#told.confirmed)) return undefined;
    const telling = { severity, confirmed: false };
    this.#told = telling;
    return {
      level,
      settle(failed) {
        if (failed) undo();
        telling.confirmed = !failed;
      },
    };
  }
}
