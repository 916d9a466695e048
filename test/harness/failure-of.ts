/** The error of a call as text. Listens at once: the call may fail before the test is interested. */
export const failureOf = (call: Promise<string>): Promise<string> =>
  call.then(
    (text) => `no error, but ${text}`,
    (error: unknown) => String(error),
  );
