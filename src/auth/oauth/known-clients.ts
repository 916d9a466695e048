import type { Client } from './client-metadata.ts';

/**
 * Client metadata documents of common clients, used while the document itself cannot be fetched: without Internet access,
 * and where a publisher refuses requests from a cloud (claude-code#84263).
 */
const documents: readonly (readonly [url: string, name: string, redirectUris: readonly string[]])[] = [
  [
    'https://claude.ai/oauth/mcp-oauth-client-metadata',
    'Claude',
    ['https://claude.ai/api/mcp/auth_callback', 'https://claude.com/api/mcp/auth_callback'],
  ],
  [
    'https://claude.ai/oauth/claude-code-client-metadata',
    'Claude Code',
    ['http://localhost/callback', 'http://127.0.0.1/callback'],
  ],
  ['https://chatgpt.com/oauth/client.json', 'ChatGPT', ['https://chatgpt.com/connector_platform_oauth_redirect']],
  ['https://chatgpt.com/oauth/codex/client.json', 'Codex', ['http://127.0.0.1/callback', 'http://localhost/callback']],
  [
    'https://vscode.dev/oauth/client-metadata.json',
    'Visual Studio Code',
    ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect'],
  ],
  ['https://zed.dev/oauth/client-metadata.json', 'Zed', ['http://127.0.0.1/callback']],
];

export const knownClients: ReadonlyMap<string, Client> = new Map(
  documents.map(([id, name, redirectUris]) => [id, { id, name, redirectUris, publisher: new URL(id).hostname }]),
);
