/** Unanswered server requests of one server; beyond it the oldest is rejected. */
export const maxOpenServerRequests = 1000;

/** Cancelled calls that a server has not answered; beyond it the oldest is forgotten. */
export const maxUnansweredCancelled = 1000;

/** Longest message that a server may send, in bytes, however it is reached. */
export const defaultMaxMessageBytes: number = 64 * 1024 * 1024;
