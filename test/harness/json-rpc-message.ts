/** The members of results that tests look at. */
export interface Result extends Record<string, unknown> {
  content?: { type: string; text?: string }[];
  isError?: boolean;
  /** What the fixture unknown-methods has received, as messages and as the lines themselves. */
  log?: { method: string; params?: unknown }[];
  lines?: string[];
  protocolVersion?: string;
  capabilities?: Record<string, unknown>;
}

/** Any JSON-RPC message, as loosely typed as what comes from outside. */
export interface JsonRpcMessage {
  jsonrpc: '2.0';
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: Result;
  error?: { code: number; message: string; data?: unknown };
}

/** The text of a tool result. */
export function textOf(message: JsonRpcMessage): string {
  const [first] = message.result?.content ?? [];
  if (first?.text === undefined) throw new Error(`not a text result: ${JSON.stringify(message)}`);
  return first.text;
}
