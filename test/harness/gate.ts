/** A promise that is opened from outside: how a test makes things happen in a certain order. */
export function gate(): { opened: Promise<void>; open: () => void } {
  const open: { now?: () => void } = {};
  const opened = new Promise<void>((resolve) => {
    open.now = resolve;
  });
  return { opened, open: () => open.now?.() };
}
