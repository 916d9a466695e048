/** The MCP endpoints as OAuth resources (RFC 8707). */
export interface Resources {
  /**
   * The endpoint that a `resource` parameter names: undefined for all of them, if there is no parameter or it is the
   * issuer. False for anything else.
   */
  find(requested: string | undefined): string | undefined | false;
  /** The endpoint at a path below the issuer. */
  at(path: string): string | undefined;
  /** The one for clients that do not know which one they want. */
  readonly first: string | undefined;
}

/** @param urls of the endpoints that exist now. */
export function createResources(issuer: string, urls: () => readonly string[]): Resources {
  return {
    find(requested) {
      if (requested === undefined) return undefined;
      const url = canonical(requested);
      if (url === undefined) return false;
      return url === canonical(issuer) ? undefined : (urls().find((own) => canonical(own) === url) ?? false);
    },
    at: (path) => urls().find((own) => canonical(own) === canonical(issuer + path)),
    get first() {
      return urls()[0];
    },
  };
}

/** Clients differ in the case of the host and in the slash at the end. A fragment is not allowed (RFC 8707 §2). */
function canonical(url: string): string | undefined {
  if (!URL.canParse(url) || url.includes('#')) return undefined;
  const { origin, pathname, search } = new URL(url);
  return origin + pathname.replace(/\/$/, '') + search;
}
