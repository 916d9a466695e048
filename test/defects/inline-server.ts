// Servers of a few lines that only one story needs, on top of what the fixtures share.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../harness/program.ts';

const shared = pathToFileURL(path.join(projectRoot, 'fixtures', 'json-rpc-server.js')).href;

/** argv of an MCP server whose tools, an object literal, are written in JavaScript; `send` and `notify` are in reach. */
export function inlineServer(tools: string, before = ''): string[] {
  const source = `import { notify, send, serve } from '${shared}';
    ${before}
    void [notify, send];
    serve({ name: 'inline', tools: ${tools} });`;
  return [process.execPath, '--input-type=module', '-e', source];
}
