import { ExposeError } from '../errors.ts';
import { quote } from '../platform/text/sanitize.ts';

/** So that names can be typed, and cannot be taken for something else in a list. */
export const tokenNameSyntax: RegExp = /^[A-Za-z0-9](?:[A-Za-z0-9 ._@-]{0,62}[A-Za-z0-9])?$/;

/** @throws ExposeError `usage` for a name that a token cannot have. */
export function checkTokenName(name: string): void {
  if (tokenNameSyntax.test(name)) return;
  throw new ExposeError('usage', `a token cannot have the name ${quote(name.slice(0, 80))}`, {
    hints: ['use 1 to 64 letters, digits, blanks and . _ @ -'],
  });
}
