// Members of `_meta` in the modern era (MCP 2026-07-28, "Request metadata" and "Result metadata").

/** In each request: its revision. */
export const protocolVersionKey = 'io.modelcontextprotocol/protocolVersion';
/** In each request: what its client can do. */
export const clientCapabilitiesKey = 'io.modelcontextprotocol/clientCapabilities';
/** In a request: who its client is. */
export const clientInfoKey = 'io.modelcontextprotocol/clientInfo';
/** In a request: the least severe log messages that its client wants; without it, none. */
export const logLevelKey = 'io.modelcontextprotocol/logLevel';

/** The members in which a modern request says what a session would know (MCP 2026-07-28, "Request Metadata"). */
export const envelopeKeys: readonly string[] = [protocolVersionKey, clientCapabilitiesKey, clientInfoKey, logLevelKey];

/** In a result: who the server is. */
export const serverInfoKey = 'io.modelcontextprotocol/serverInfo';
/** In what comes on a subscription: the id of the `subscriptions/listen` request. */
export const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId';
/** The extension for tasks, as a name in `capabilities.extensions`. */
export const tasksExtension = 'io.modelcontextprotocol/tasks';
