// Loaded before the conformance suite, which has no option for it: the token goes with every request, so that the guard
// is in the way of everything that is tested. Run by the suite's own Node: `node --import <this> <suite> …`.
import http from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';

// Both fetch and the suite's own undici send through the global dispatcher. undici is found from the suite's own file. A few
// scenarios call node:http.
const { getGlobalDispatcher, setGlobalDispatcher } = createRequire(process.argv[1])('undici');

const authorization = `Bearer ${process.env.BEARER_TOKEN}`;

/** Headers come in three shapes: a flat list of names and values, an object, or something to iterate over. */
function withBearer(headers = {}) {
  if (Array.isArray(headers)) return [...headers, 'authorization', authorization];
  const entries = Symbol.iterator in headers ? headers : Object.entries(headers);
  return { ...Object.fromEntries(entries), authorization };
}

setGlobalDispatcher(
  getGlobalDispatcher().compose(
    (dispatch) => (options, handler) => dispatch({ ...options, headers: withBearer(options.headers) }, handler),
  ),
);

const { request } = http;
http.request = (...args) => {
  const outgoing = request(...args);
  outgoing.setHeader('authorization', authorization);
  return outgoing;
};
syncBuiltinESMExports();
