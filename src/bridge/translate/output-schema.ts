import { inOnePiece } from '../../platform/bytes.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, type RpcResponse } from '../../mcp/json-rpc.ts';
import { eachItem, editPlan, set, type Change } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree } from '../../mcp/json/locate-members.ts';
import { openBrace } from '../../mcp/json/scan.ts';
import { itemsIn } from '../../mcp/lists.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { makeRoom } from '../limits.ts';

/** Tools whose output is remembered to be wrapped; beyond it, the oldest is forgotten. */
const maxWrappedTools = 10_000;

/** Where the schema of a tool stands in the wrapped one. */
const innerPointer = '#/properties/result';

/** In these, `$ref` is data and no reference (JSON Schema 2020-12). */
const dataKeywords: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);

/** The members of these are schemas, whatever their names are. */
const schemaMaps: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
]);

const wrapSchema: Change = (written) => {
  if (written === undefined) return undefined;
  const schema: unknown = JSON.parse(written.toString());
  if (!isWrappable(schema)) return written;
  // Written anew only where a reference has to change: numbers may be written otherwise then.
  const inner = /"\$(?:ref|dynamicRef|recursiveRef|id)"/.test(written.toString())
    ? JSON.stringify(establishesBase(schema['$id']) ? schema : withMovedReferences(schema, recursesToRoot(schema)))
    : written.toString();
  const dialect = typeof schema['$schema'] === 'string' ? `"$schema":${JSON.stringify(schema['$schema'])},` : '';
  return Buffer.from(`{${dialect}"type":"object","properties":{"result":${inner}},"required":["result"]}`);
};

const wrapSchemas = editPlan([[['result', 'tools', eachItem, 'outputSchema'], wrapSchema]]);

/**
 * A modern server's answer to `tools/list` for a legacy client, in whose revisions the output of a tool is an object
 * (MCP 2025-11-25, `Tool.outputSchema`): any other becomes the member `result` of one (SEP-2106).
 * @param wrapped the names of the tools whose output is wrapped; brought up to date.
 */
export function wrapOutputSchemas(response: RpcResponse, wrapped: Set<string>): RpcResponse {
  for (const tool of itemsIn('tools/list', response.json['result']) ?? []) {
    const name = memberOf(tool, 'name');
    if (typeof name !== 'string') continue;
    wrapped.delete(name);
    if (!isWrappable(memberOf(tool, 'outputSchema'))) continue;
    makeRoom(wrapped, maxWrappedTools);
    wrapped.add(name);
  }
  return editMessage(response, wrapSchemas);
}

const structuredContent = pathTree({ content: ['result', 'structuredContent'] });

/**
 * A modern server's answer to `tools/call` for a legacy client: structured content that is no object becomes the member
 * `result` of one, and is given as text too where the server gives none (SEP-2106).
 * @param isWrapped whether the tool's schema was wrapped: its content then always is.
 */
export function wrapStructuredContent(response: RpcResponse, isWrapped: boolean): RpcResponse {
  const bytes = inOnePiece(response.bytes);
  const span = locateMembers(bytes, structuredContent).spans.get('content');
  if (span === undefined) return response;
  const isAnObject = bytes[span.start] === openBrace;
  if (isAnObject && !isWrapped) return response;
  const written = bytes.toString('utf8', span.start, span.end);
  const blocks = memberOf(response.json['result'], 'content');
  const hasText = Array.isArray(blocks) && blocks.some((block) => memberOf(block, 'type') === 'text');
  const text = JSON.stringify({ type: 'text', text: written });
  return editMessage(
    response,
    editPlan([
      [['result', 'structuredContent'], set(`{"result":${written}}`)],
      [['result', 'content'], (content) => (isAnObject || hasText ? content : withItem(content, text))],
    ]),
  );
}

/** An array of content with one block more. */
function withItem(array: Buffer | undefined, item: string): Buffer {
  const items = array === undefined ? '' : array.toString().trim().slice(1, -1).trim();
  return Buffer.from(items === '' ? `[${item}]` : `[${items},${item}]`);
}

function isWrappable(schema: unknown): schema is Record<string, unknown> {
  return isObject(schema) && schema['type'] !== 'object';
}

/** Whether references within are relative to something else than the whole document; `#name` is only an anchor. */
function establishesBase(id: unknown): boolean {
  return id !== undefined && !(typeof id === 'string' && id.startsWith('#'));
}

/** In 2019-09, `$recursiveRef` means the root of the document, unless that says otherwise. */
function recursesToRoot(schema: Readonly<Record<string, unknown>>): boolean {
  const dialect = schema['$schema'];
  return typeof dialect === 'string' && dialect.includes('draft/2019-09') && schema['$recursiveAnchor'] !== true;
}

function withMovedReferences(schema: unknown, movesRecursion: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((item) => withMovedReferences(item, movesRecursion));
  if (!isObject(schema) || establishesBase(schema['$id'])) return schema;
  const moved = new Map<string, unknown>();
  for (const [keyword, value] of Object.entries(schema)) {
    if ((keyword === '$ref' || keyword === '$dynamicRef') && typeof value === 'string') {
      moved.set(keyword, movedPointer(value));
    } else if (keyword === '$recursiveRef' && value === '#' && movesRecursion) {
      // A condition of its own, since the schema may have a `$ref` too.
      const conditions = withMovedReferences(schema['allOf'] ?? [], movesRecursion);
      moved.set('allOf', [...(Array.isArray(conditions) ? conditions : []), { $ref: innerPointer }]);
    } else if (schemaMaps.has(keyword) && isObject(value)) {
      const entries = Object.entries(value).map(([name, inner]) => [name, withMovedReferences(inner, movesRecursion)]);
      moved.set(keyword, Object.fromEntries(entries));
    } else if (!moved.has(keyword)) {
      moved.set(keyword, dataKeywords.has(keyword) ? value : withMovedReferences(value, movesRecursion));
    }
  }
  return Object.fromEntries(moved);
}

/** References into this document; those to others, and to anchors, stay. */
function movedPointer(reference: string): string {
  if (reference === '#') return innerPointer;
  return reference.startsWith('#/') ? innerPointer + reference.slice(1) : reference;
}
