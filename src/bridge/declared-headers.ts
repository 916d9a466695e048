import { memberOf, type RpcRequest, type RpcResponse } from '../mcp/json-rpc.ts';
import { spanOf } from '../mcp/json/locate-members.ts';
import { itemsIn } from '../mcp/lists.ts';
import { paramHeaderProblem, paramHeadersOf, type ParamHeader } from '../mcp/param-headers.ts';
import { inOnePiece } from '../platform/bytes.ts';
import { makeRoom } from './limits.ts';

/** Tools that are remembered; beyond it, the oldest is forgotten. */
const maxTools = 10_000;

/** A tool whose definition is invalid, and why. */
export interface InvalidTool {
  readonly name: string;
  readonly problem: string;
}

/**
 * The headers in which HTTP clients repeat arguments of tools (MCP 2026-07-28, "Custom Headers from Tool Parameters"), as far as they are
 * known from the lists of tools that have passed.
 */
export class DeclaredHeaders {
  readonly #byTool = new Map<string, readonly ParamHeader[]>();

  /** Reads the answer to a `tools/list`. @returns the tools in it that are invalid, and are not remembered. */
  learn({ failed, json }: RpcResponse): readonly InvalidTool[] {
    const invalid: InvalidTool[] = [];
    for (const tool of (failed ? undefined : itemsIn('tools/list', json['result'])) ?? []) {
      const name = memberOf(tool, 'name');
      if (typeof name !== 'string') continue;
      const declared = paramHeadersOf(memberOf(tool, 'inputSchema'));
      if ('problem' in declared) {
        this.#byTool.delete(name);
        invalid.push({ name, problem: declared.problem });
      } else {
        this.set(name, declared);
      }
    }
    return invalid;
  }

  set(tool: string, headers: readonly ParamHeader[]): void {
    this.#byTool.delete(tool);
    makeRoom(this.#byTool, maxTools);
    this.#byTool.set(tool, headers);
  }

  /** Those of the tool that a call names; undefined if they are not known. */
  of({ json }: RpcRequest): readonly ParamHeader[] | undefined {
    const name = memberOf(json['params'], 'name');
    return typeof name === 'string' ? this.#byTool.get(name) : [];
  }

  /**
   * Which header of a call is missing, or says something else than the arguments; undefined if none does.
   * @param headers `Mcp-Param-*`, by their names in lower case.
   */
  problemOf(call: RpcRequest, headers: ReadonlyMap<string, string>): string | undefined {
    const declared = this.of(call) ?? [];
    if (declared.length === 0) return undefined;
    // What is parsed of a large message lacks its long strings.
    const span = spanOf(call.bytes, ['params', 'arguments']);
    const args: unknown = span && JSON.parse(inOnePiece(call.bytes).toString('utf8', span.start, span.end));
    return paramHeaderProblem(declared, args, headers);
  }
}
