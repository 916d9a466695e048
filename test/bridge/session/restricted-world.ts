// A restricted upstream between a server in memory and a client in memory.
import type { Approvals } from '../../../src/bridge/session/pending-approvals.ts';
import { restrict } from '../../../src/bridge/session/restricted-upstream.ts';
import type { Upstream, UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createPolicy, type PolicyRules } from '../../../src/policy/policy.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { request, response } from '../messages.ts';

interface Sent {
  readonly id?: RequestId;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
}

export interface World {
  readonly server: FakeUpstream;
  readonly upstream: Upstream;
  readonly clock: FakeClock;
  /** What the client got. */
  readonly got: RpcMessage[];
  readonly losses: UpstreamEnd[];
  readonly ends: UpstreamEnd[];
  /** What the server was sent. */
  readonly sent: () => Sent[];
  readonly call: (id: RequestId, name: string) => boolean;
  /** Answers the last tools/list of mcp-expose's own. */
  readonly list: (tools: readonly object[], nextCursor?: string) => void;
}

export function world(rules: PolicyRules, approvals?: Approvals): World {
  const server = createFakeUpstream();
  const clock = createFakeClock();
  const upstream = restrict(server, { policy: createPolicy(rules), approvals, clock });
  const got: RpcMessage[] = [];
  const losses: UpstreamEnd[] = [];
  const ends: UpstreamEnd[] = [];
  upstream.start({
    onMessage: (message) => got.push(message),
    onLost: (end) => losses.push(end),
    onClose: (end) => ends.push(end),
  });
  const sent = (): Sent[] => server.sent.map((line) => parseJson<Sent>(line));
  return {
    server,
    upstream,
    clock,
    got,
    losses,
    ends,
    sent,
    call: (id, name) => upstream.send(request(id, 'tools/call', { name })),
    list(tools, nextCursor) {
      const id = sent().findLast(({ method }) => method === 'tools/list')?.id ?? '';
      server.say(response(id, { tools, ...(nextCursor === undefined ? {} : { nextCursor }) }));
    },
  };
}

/** What a message says, in short. */
export function inShort({ json, kind }: RpcMessage): unknown {
  return kind === 'response' ? Object.assign({ id: json['id'] }, json['error']) : json['method'];
}

/** Answers come in a microtask. */
export const settled = (): Promise<void> => Promise.resolve();
