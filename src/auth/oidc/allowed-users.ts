import { ExposeError } from '../../errors.ts';

/** RFC 5321 §4.5.3.1.3, in characters. */
const maxAddressLength = 254;

/** One `@`, a domain in ASCII, and no white space, control characters or marks that change the direction of text. */
const addressSyntax =
  /^([^\s@*\p{C}]+|\*)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$/u;

/**
 * Who may sign in at an identity provider. The part before the `@` is compared with case, the domain without; `*@example.com`
 * is everybody at exactly this domain, not at those below it.
 * @param users `ada@example.com` or `*@example.com`.
 * @returns whether an e-mail address that the provider verified may sign in.
 * @throws ExposeError `usage` for none, or for one that is neither of the two.
 */
export function createAllowedUsers(users: readonly string[]): (email: string) => boolean {
  if (users.length === 0) {
    throw new ExposeError('usage', '--oidc-issuer needs --allow-user: otherwise nobody could sign in', {
      hints: [
        "name who may sign in: --allow-user ada@example.com, or everybody of a domain: --allow-user '*@example.com'",
      ],
    });
  }
  const allowed = new Set(
    users.map((user) => {
      const address = partsOf(user);
      if (address !== undefined) return `${address.local}@${address.domain}`;
      throw new ExposeError('usage', `--allow-user ${user} is neither an e-mail address nor *@ and a domain`, {
        hints: ["write ada@example.com, or '*@example.com' for everybody of that domain"],
      });
    }),
  );
  return (email) => {
    const address = partsOf(email);
    if (address === undefined || address.local === '*') return false;
    return allowed.has(`${address.local}@${address.domain}`) || allowed.has(`*@${address.domain}`);
  };
}

interface Address {
  readonly local: string;
  /** In lower case. */
  readonly domain: string;
}

function partsOf(text: string): Address | undefined {
  const [, local, domain] = (text.length <= maxAddressLength && addressSyntax.exec(text)) || [];
  return local === undefined || domain === undefined ? undefined : { local, domain: domain.toLowerCase() };
}
