/** Severities of RFC 5424 §6.2.1 as MCP names them (2025-11-25, logging), the most verbose first. */
export const severities: readonly unknown[] = 'debug info notice warning error critical alert emergency'.split(' ');

/** The higher, the more severe; undefined if it is no level. */
export function severityOf(level: unknown): number | undefined {
  const severity = severities.indexOf(level);
  return severity === -1 ? undefined : severity;
}

/** The level with this severity. */
export function levelOf(severity: number): unknown {
  return severities[severity];
}
