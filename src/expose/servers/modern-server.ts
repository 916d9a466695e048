import { RefusingUpstream } from '../../bridge/era/refusing-upstream.ts';
import { LegacyChoice } from '../../bridge/modern/legacy-choice.ts';
import { LegacyFace } from '../../bridge/modern/legacy-face.ts';
import type { ModernMux } from '../../bridge/modern/modern-mux.ts';
import { createSharedModern } from '../../bridge/modern/shared-modern.ts';
import type { ManagedServer } from '../../bridge/restart/managed-server.ts';
import type { Upstream } from '../../bridge/upstream/upstream.ts';
import { modernRevisions } from '../../mcp/revisions.ts';

export interface ModernServerOptions {
  readonly server: ManagedServer;
  /** Gives a process of its own to a legacy client; undefined where there is to be none. */
  readonly own: (() => Upstream) | undefined;
  /** Whether nothing is translated. */
  readonly isStrict: boolean;
  readonly onWarning: (message: string) => void;
}

/** A server that speaks the modern era, for clients of both. */
export class ModernServer {
  /** The connection that all its clients share; made when the first request needs it. */
  readonly shared: ModernMux;
  readonly #options: ModernServerOptions;
  readonly #legacyChoice: LegacyChoice | undefined;

  constructor(options: ModernServerOptions) {
    const { server, own, onWarning } = options;
    this.#options = options;
    this.shared = createSharedModern({ server, onWarning });
    this.#legacyChoice = own && new LegacyChoice({ own, translated: () => this.#translated() });
  }

  /** Whether the server serves legacy clients by itself; undefined before one has asked. Without processes of their own, it does not. */
  get speaksLegacy(): boolean | undefined {
    return this.#legacyChoice === undefined ? false : this.#legacyChoice.speaksLegacy;
  }

  /** The upstream of a legacy client's session. */
  sessionUpstream(): Upstream {
    return this.#legacyChoice?.next() ?? this.#translated();
  }

  /** Ends the connection; resolves when nothing is left of it. */
  async close(): Promise<void> {
    await this.shared.close();
  }

  #translated(): Upstream {
    const { isStrict, onWarning } = this.#options;
    return isStrict ? new RefusingUpstream(modernRevisions) : new LegacyFace(this.shared.attach(), { onWarning });
  }
}
