/** Asks of one server that are not answered, each in a table of ours; beyond it the oldest is refused. */
export const maxOpenServerRequests = 1000;

/** Cancelled calls that a server has not answered; beyond it the oldest is forgotten. */
export const maxUnansweredCancelled = 1000;
