// A browser without a screen: it keeps cookies for each host, follows redirects, and sends forms.
export interface Visit {
  readonly url: URL;
  readonly status: number;
  readonly body: string;
}

export interface WebBrowser {
  /** Goes there, and on to where it is redirected, up to an origin that `stopAt` names. */
  visit(url: string, options?: { form?: Readonly<Record<string, string>>; stopAt?: string }): Promise<Visit>;
  /** Sends the form of a page. */
  submit(page: Visit, fields: Readonly<Record<string, string>>, options?: { stopAt?: string }): Promise<Visit>;
  /** As the browser sends them to this URL. */
  cookies(url: string): string;
}

export function createWebBrowser(): WebBrowser {
  const jars = new Map<string, Map<string, string>>();
  const jarOf = (url: URL): Map<string, string> => {
    const jar = jars.get(url.host) ?? new Map<string, string>();
    jars.set(url.host, jar);
    return jar;
  };
  const cookieHeader = (url: URL): string => [...jarOf(url)].map(([name, value]) => `${name}=${value}`).join('; ');

  const browser: WebBrowser = {
    cookies: (url) => cookieHeader(new URL(url)),
    async visit(first, { form, stopAt } = {}) {
      let url = new URL(first);
      let body = form === undefined ? undefined : new URLSearchParams(form);
      for (let hops = 0; hops < 10; hops += 1) {
        if (url.origin === stopAt) return { url, status: 0, body: '' };
        // oxlint-disable-next-line no-await-in-loop -- one page after the other
        const response = await fetch(url, {
          method: body === undefined ? 'GET' : 'POST',
          headers: { cookie: cookieHeader(url), ...(body === undefined ? {} : { origin: url.origin }) },
          ...(body === undefined ? {} : { body }),
          redirect: 'manual',
        });
        for (const cookie of response.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
          if (value === '' || /expires=Thu, 01 Jan 1970/i.test(cookie)) jarOf(url).delete(name);
          else jarOf(url).set(name, value);
        }
        const location = response.headers.get('location');
        // oxlint-disable-next-line no-await-in-loop -- as above
        if (location === null) return { url, status: response.status, body: await response.text() };
        url = new URL(location, url);
        body = undefined;
      }
      throw new Error(`too many redirects from ${first}`);
    },
    async submit({ url, body }, fields, options = {}) {
      const [, action = url.href] = /<form[^>]* action="([^"]*)"/.exec(body) ?? [];
      const hidden = [...body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
      const form = { ...Object.fromEntries(hidden.map(([, name, value]) => [name, value])), ...fields };
      return browser.visit(new URL(action, url).href, { form, ...options });
    },
  };
  return browser;
}
