import { ExposeError } from '../errors.ts';
import { memberOf, type RpcResponse } from '../mcp/json-rpc.ts';
import { itemsIn } from '../mcp/lists.ts';
import { newNotification } from '../mcp/new-message.ts';
import { firstModernRevision, preferredRevision, type Era } from '../mcp/revisions.ts';
import { Interview, type InterviewOptions } from './era/interview.ts';
import { listTools } from './era/list-tools.ts';
import { discover, inEnvelope, initialize } from './era/own-requests.ts';
import { probe, type Finding } from './era/probe.ts';
import { modernRevisionIn } from './era/verdict.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface ServerDescription {
  readonly name: string;
  readonly version: string;
  readonly era: Era;
  readonly protocolVersion: string;
  /** Number of tools that it lists to a client without capabilities, without those that callers may not use. */
  readonly tools: number;
}

/** What a server has said of itself to a client without capabilities. */
export interface Introduction {
  readonly era: Era;
  /** To `initialize` in the legacy era, to `server/discover` in the modern one, where it may not have been answered. */
  readonly answer: RpcResponse | undefined;
}

export interface DescribeOptions extends InterviewOptions {
  /**
   * Lends a connection of its own to the server, not yet started, in this era; the next one when the last is about to end.
   */
  readonly look: <T>(use: (connection: Upstream) => Promise<T>, era: Era) => Promise<T>;
  /** Whether a connection carries both eras, and so can tell which one the server speaks. */
  readonly carriesBoth: boolean;
  /** The era of the server if it is known; `auto`: it is found out. */
  readonly era: Era | 'auto';
  readonly onWarning: (message: string) => void;
  /** Called when the server has introduced itself, before it is asked for more. */
  readonly onIntroduced?: ((introduction: Introduction) => Promise<void>) | undefined;
  /** What clients get of the result of `tools/list`; all if it is left out. */
  readonly visible?: ((result: unknown) => unknown) | undefined;
  /** Called with the names of all tools. */
  readonly onTools?: ((names: readonly string[]) => void) | undefined;
  /** Our own version, told to the server. */
  readonly clientVersion: string;
}

/** What another connection, over which nothing modern is said, may do better. */
const confusions: ReadonlySet<string> = new Set([
  'upstream_exited',
  'upstream_silent',
  'upstream_refused',
  'upstream_unreachable',
]);

/**
 * Starts a server, asks what it is and what it has, and ends it: what a client will find, known before any client comes.
 * Unless its era is known, it is asked as a modern client would; a server that bears no such question is started again and
 * asked as a legacy client would.
 * @throws ExposeError `upstream_not_started`, `upstream_unreachable`, `upstream_exited`, `upstream_silent` or
 * `upstream_refused`, or the signal's reason.
 */
export async function describeServer(options: DescribeOptions): Promise<ServerDescription> {
  const { look, era, timeoutMs, signal, clientVersion, carriesBoth, onWarning } = options;
  let isModern = false;
  const talk = (spoken: Era, find: (interview: Interview) => Promise<Finding>): Promise<ServerDescription> =>
    look((upstream) => {
      const interview = new Interview(upstream, options);
      return interview.hold(async () => {
        const finding = await find(interview);
        isModern = finding.era === 'modern';
        return await (isModern ? describeModern : describeLegacy)(interview, finding, options);
      });
    }, spoken);
  const talkLegacy = (): Promise<ServerDescription> =>
    talk('legacy', async (interview) => {
      const answer = await initialize(interview, clientVersion);
      return { era: 'legacy', answer, revision: undefined };
    });
  if (era === 'legacy') return await talkLegacy();
  const isCertain = era === 'modern';
  // Whom the question confuses has used up half of the time, and is then given all of it.
  const limitMs = isCertain ? timeoutMs : timeoutMs / 2;
  try {
    return await talk(carriesBoth && !isCertain ? 'legacy' : 'modern', (interview) =>
      probe(interview, {
        clientVersion,
        limitMs,
        carriesBoth: carriesBoth && !isCertain,
        onSilence: (silentMs) => isCertain || onWarning(silenceWords(silentMs, limitMs)),
      }),
    );
  } catch (error) {
    const isConfused = error instanceof ExposeError && confusions.has(error.code);
    if (!isConfused || isModern || signal.aborted) throw error;
    if (isCertain) throw withDoubt(error);
    return await talkLegacy();
  }
}

/** The same error, of a server that was said to be modern and may have taken the question badly. */
function withDoubt(error: ExposeError): ExposeError {
  const { code, message, hints, cause } = error;
  if (code === 'upstream_refused') return error;
  const doubt = 'if it is a legacy server, use --upstream-era legacy, or omit the option';
  return new ExposeError(code, message, { hints: [...hints, doubt], cause });
}

function silenceWords(silentMs: number, limitMs: number): string {
  const [silent, limit] = [silentMs / 1000, limitMs / 1000];
  return (
    `the server has not answered server/discover for ${silent} s; after ${limit} s it is asked as a server of before MCP 2026-07-28, ` +
    'which --upstream-era legacy does at once'
  );
}

async function describeLegacy(
  interview: Interview,
  { answer }: Finding,
  options: DescribeOptions,
): Promise<ServerDescription> {
  if (answer === undefined || answer.failed) {
    const revision = answer && modernRevisionIn(answer);
    const hint = revision && `it speaks MCP ${revision}: use --upstream-era modern, or omit the option`;
    throw interview.refusal('initialize', answer, hint);
  }
  await options.onIntroduced?.({ era: 'legacy', answer });
  const { result } = answer.json;
  interview.tell(newNotification('notifications/initialized'));
  const hasTools = memberOf(memberOf(result, 'capabilities'), 'tools') !== undefined;
  return {
    ...nameIn(memberOf(result, 'serverInfo')),
    era: 'legacy',
    protocolVersion: textOf(memberOf(result, 'protocolVersion'), preferredRevision),
    tools: hasTools ? await countTools((params) => interview.ask('tools/list', params), options) : 0,
  };
}

async function describeModern(
  interview: Interview,
  { answer, revision = firstModernRevision }: Finding,
  options: DescribeOptions,
): Promise<ServerDescription> {
  const { clientVersion } = options;
  // It has refused our revision and named another one.
  const discovery = answer?.failed === true ? await discover(interview, clientVersion, revision) : answer;
  if (discovery?.failed === true) throw interview.refusal('server/discover', discovery);
  await options.onIntroduced?.({ era: 'modern', answer: discovery });
  let named = serverInfoIn(discovery);
  const hasTools =
    discovery === undefined || memberOf(memberOf(discovery.json['result'], 'capabilities'), 'tools') !== undefined;
  const tools = hasTools
    ? await countTools(async (params) => {
        const page = await interview.ask('tools/list', inEnvelope(params, clientVersion, revision));
        named ??= serverInfoIn(page);
        return page;
      }, options)
    : 0;
  return { ...nameIn(named), era: 'modern', protocolVersion: revision, tools };
}

/** Counts those that clients get. */
async function countTools(
  ask: (params: Readonly<Record<string, unknown>>) => Promise<RpcResponse>,
  { onWarning, onTools, visible = (result) => result }: DescribeOptions,
): Promise<number> {
  const names: string[] = [];
  const counted = await listTools(async (params) => {
    const { result } = (await ask(params)).json;
    const all = itemsIn('tools/list', result) ?? [];
    names.push(...all.map((tool) => memberOf(tool, 'name')).filter((name) => typeof name === 'string'));
    return visible(result);
  }, onWarning);
  onTools?.(names);
  return counted.size;
}

/** A modern server names itself in its results (MCP 2026-07-28, server info). */
function serverInfoIn(response: RpcResponse | undefined): unknown {
  return memberOf(memberOf(response?.json['result'], '_meta'), 'io.modelcontextprotocol/serverInfo');
}

function nameIn(serverInfo: unknown): Pick<ServerDescription, 'name' | 'version'> {
  return {
    name: textOf(memberOf(serverInfo, 'name'), 'unknown'),
    version: textOf(memberOf(serverInfo, 'version'), ''),
  };
}

function textOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
