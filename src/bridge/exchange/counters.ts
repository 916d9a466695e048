/** What was lost in the translation for modern clients of a legacy server, in numbers since the start. */
export interface ExchangeCounters {
  /** Server requests that may have been meant for another of several calls in flight. */
  ambiguousAttributions: number;
  /** Server requests that could not be put to a client. */
  refusedServerRequests: number;
  /** Log messages that no request in flight had asked for. */
  droppedLogs: number;
  /** Connections that were ended to make room for others. */
  evictions: number;
}

export function createCounters(): ExchangeCounters {
  return { ambiguousAttributions: 0, refusedServerRequests: 0, droppedLogs: 0, evictions: 0 };
}
