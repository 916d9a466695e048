/** Longest message that a server may send, in bytes, however it is reached. */
export const defaultMaxMessageBytes: number = 64 * 1024 * 1024;
