import { createDeferred } from '../../platform/deferred.ts';
import type { RpcResponse } from '../../mcp/json-rpc.ts';
import { firstModernRevision, type Era } from '../../mcp/revisions.ts';
import type { Interview } from './interview.ts';
import { discover, initialize } from './own-requests.ts';
import { modernRevisionIn } from './verdict.ts';

/** After so much silence, `initialize` follows `server/discover`, in milliseconds: some servers answer nothing before it. */
const maxSilenceMs = 3000;

/** After so much silence, the user is told what is waited for, in milliseconds. */
const noticeMs = 5000;

const legacyHint = `it is a legacy server, of before MCP ${firstModernRevision}: use --upstream-era legacy, or omit the option`;

/** What a server is, and the answer that has told it. */
export interface Finding {
  readonly era: Era;
  /** To `initialize` in the legacy era, also an error. In the modern one to `server/discover`, if it was answered. */
  readonly answer: RpcResponse | undefined;
  /** In which a modern server is spoken to. */
  readonly revision: string | undefined;
}

export interface ProbeOptions {
  /** Our own version, told to the server. */
  readonly clientVersion: string;
  /** How long the answer may take, in milliseconds. */
  readonly limitMs: number;
  /** Called if there is no answer for a while. */
  readonly onSilence: (silentMs: number) => void;
  /** Whether the connection carries both eras. On another one, a server that is not modern is not asked further. */
  readonly carriesBoth: boolean;
}

/**
 * Finds out the era of a server: `server/discover` first, and on the same connection `initialize`, if the answer names no
 * modern revision or does not come. Both may be under way, and the first answer that tells something counts.
 * @throws ExposeError `upstream_refused` if the server is not modern and the connection is, or as `Interview.hold` does.
 */
export async function probe(interview: Interview, options: ProbeOptions): Promise<Finding> {
  const { clientVersion, limitMs, carriesBoth, onSilence } = options;
  const { promise: found, resolve, reject } = createDeferred<Finding>();
  let hasGreeted = false;

  async function greet(): Promise<void> {
    if (hasGreeted) return;
    hasGreeted = true;
    const answer = await initialize(interview, clientVersion);
    const revision = modernRevisionIn(answer);
    if (revision === undefined) resolve({ era: 'legacy', answer, revision });
    else resolve({ era: 'modern', answer: undefined, revision });
  }

  async function askForModern(): Promise<void> {
    const answer = await discover(interview, clientVersion);
    const revision = modernRevisionIn(answer);
    if (revision !== undefined) resolve({ era: 'modern', answer, revision });
    else if (carriesBoth) await greet();
    else reject(interview.refusal('server/discover', answer, legacyHint));
  }

  void askForModern();
  const silence = carriesBoth ? setTimeout(() => void greet(), Math.min(maxSilenceMs, limitMs / 2)) : undefined;
  const silentMs = Math.min(noticeMs, limitMs * 0.75);
  const notice = setTimeout(() => onSilence(silentMs), silentMs);
  const limit = setTimeout(() => reject(interview.silence(limitMs)), limitMs);
  try {
    return await Promise.race([found, interview.failure]);
  } finally {
    clearTimeout(silence);
    clearTimeout(notice);
    clearTimeout(limit);
  }
}
