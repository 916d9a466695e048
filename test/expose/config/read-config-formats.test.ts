import { homedir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/expose/config/read-config.ts';
import { temporaryDirectory } from '../../harness/program.ts';
import { readContent, writeConfig } from './config-file.ts';

const secret = 'sk-very-secret';

/** As their documentation shows them. */
describe('the format of', () => {
  test('Claude Desktop', async () => {
    const { servers, problems, warnings } = await readContent(`{
  "globalShortcut": "Ctrl+Space",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/username/Desktop", "/Users/username/Downloads"]
    },
    "brave-search": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-brave-search"],
      "env": { "APPDATA": "C:\\\\Users\\\\user\\\\AppData\\\\Roaming\\\\", "BRAVE_API_KEY": "..." }
    }
  }
}`);
    expect([problems, warnings]).toEqual([[], []]);
    expect([...servers]).toEqual([
      [
        'filesystem',
        {
          kind: 'stdio',
          command: {
            file: 'npx',
            args: [
              '-y',
              '@modelcontextprotocol/server-filesystem',
              '/Users/username/Desktop',
              '/Users/username/Downloads',
            ],
          },
          env: new Map(),
        },
      ],
      [
        'brave-search',
        {
          kind: 'stdio',
          command: { file: 'npx', args: ['-y', '@modelcontextprotocol/server-brave-search'] },
          env: new Map([
            ['APPDATA', 'C:\\Users\\user\\AppData\\Roaming\\'],
            ['BRAVE_API_KEY', '...'],
          ]),
        },
      ],
    ]);
  });

  test('Claude Code', async () => {
    const content = `{
  "mcpServers": {
    "api-server": {
      "type": "http",
      "url": "\${API_BASE_URL:-https://api.example.com}/mcp",
      "headers": { "Authorization": "Bearer \${API_KEY}" }
    },
    "old": { "type": "sse", "url": "https://api.example.com/events" },
    "local": { "type": "stdio", "command": "/path/to/server", "args": [], "env": { "CACHE_DIR": "/tmp" } }
  }
}`;
    const { servers, problems } = await readContent(content, { env: { API_KEY: secret } });
    expect(problems).toEqual([]);
    expect([...servers]).toEqual([
      [
        'api-server',
        {
          kind: 'http',
          url: 'https://api.example.com/mcp',
          headers: new Map([['Authorization', `Bearer ${secret}`]]),
        },
      ],
      ['old', { kind: 'sse', url: 'https://api.example.com/events', headers: new Map() }],
      [
        'local',
        { kind: 'stdio', command: { file: '/path/to/server', args: [] }, env: new Map([['CACHE_DIR', '/tmp']]) },
      ],
    ]);
  });

  test('Cursor', async () => {
    const folder = temporaryDirectory();
    const content = `{
  "mcpServers": {
    "local-server": {
      "type": "stdio",
      "command": "python",
      "args": ["\${workspaceFolder}/tools/mcp_server.py", "\${userHome}\${/}x"],
      "env": { "API_KEY": "\${env:API_KEY}" },
      "envFile": "\${workspaceFolder}/.env"
    },
    "remote-server": {
      "url": "https://\${env:HOST}/mcp",
      "headers": { "Authorization": "Bearer \${env:MY_SERVICE_TOKEN}" }
    }
  }
}`;
    writeConfig('FROM_FILE=1\nAPI_KEY=file', '.env', folder);
    const file = writeConfig(content, '.cursor/mcp.json', folder);
    const env = { API_KEY: secret, HOST: 'api.example', MY_SERVICE_TOKEN: secret };
    const { servers, problems } = await readConfig(file, { env });
    expect(problems).toEqual([]);
    expect([...servers]).toEqual([
      [
        'local-server',
        {
          kind: 'stdio',
          command: {
            file: 'python',
            args: [`${folder}/tools/mcp_server.py`, `${homedir()}${path.sep}x`],
          },
          env: new Map([
            ['FROM_FILE', '1'],
            ['API_KEY', secret],
          ]),
        },
      ],
      [
        'remote-server',
        {
          kind: 'http',
          url: 'https://api.example/mcp',
          headers: new Map([['Authorization', `Bearer ${secret}`]]),
        },
      ],
    ]);
  });

  test('Windsurf', async () => {
    const content = `{
  "mcpServers": {
    "github": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-github"],
      "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "\${env:TOKEN}" },
      "disabledTools": []
    },
    "remote-http-mcp": {
      "serverUrl": "https://your-server.example/mcp",
      "headers": { "API_KEY": "Bearer \${env:AUTH_TOKEN}" }
    },
    "off": { "command": "npx", "disabled": true }
  }
}`;
    const { servers, problems } = await readContent(content, { env: { TOKEN: secret, AUTH_TOKEN: secret } });
    expect(problems).toEqual([]);
    expect([...servers]).toEqual([
      [
        'github',
        {
          kind: 'stdio',
          command: { file: 'npx', args: ['-y', '@modelcontextprotocol/server-github'] },
          env: new Map([['GITHUB_PERSONAL_ACCESS_TOKEN', secret]]),
        },
      ],
      [
        'remote-http-mcp',
        {
          kind: 'http',
          url: 'https://your-server.example/mcp',
          headers: new Map([['API_KEY', `Bearer ${secret}`]]),
        },
      ],
    ]);
  });

  test('Cline', async () => {
    const content = {
      mcpServers: {
        'local-server': {
          command: 'node',
          args: ['/path/to/server.js'],
          env: { API_KEY: 'your_api_key' },
          autoApprove: ['tool1'],
          disabled: false,
          timeout: 60,
        },
        'remote-server': {
          type: 'streamableHttp',
          url: 'https://your-server.example/endpoint',
          headers: { Authorization: 'Bearer your-token' },
        },
      },
    };
    const { servers, problems } = await readContent(content);
    expect(problems).toEqual([]);
    expect([...servers.values()]).toEqual([
      {
        kind: 'stdio',
        command: { file: 'node', args: ['/path/to/server.js'] },
        env: new Map([['API_KEY', 'your_api_key']]),
      },
      {
        kind: 'http',
        url: 'https://your-server.example/endpoint',
        headers: new Map([['Authorization', 'Bearer your-token']]),
      },
    ]);
  });

  test('Gemini CLI', async () => {
    const content = {
      mcp: { allowed: ['api', 'events', 'files'], excluded: [] },
      mcpServers: {
        api: {
          httpUrl: 'https://api.example/sse',
          headers: { Authorization: 'Bearer x' },
          timeout: 5000,
          trust: false,
        },
        both: { url: 'https://api.example/old', httpUrl: 'https://api.example/new' },
        events: { url: 'https://api.example/sse' },
        files: { command: 'npx', args: ['-y', 'server'], env: { KEY: 'x' }, includeTools: ['read'] },
      },
    };
    const { servers, problems, warnings } = await readContent(content);
    expect([problems, warnings]).toEqual([[], []]);
    expect([...servers]).toEqual([
      ['api', { kind: 'http', url: 'https://api.example/sse', headers: new Map([['Authorization', 'Bearer x']]) }],
      ['both', { kind: 'http', url: 'https://api.example/new', headers: new Map() }],
      ['events', { kind: 'sse', url: 'https://api.example/sse', headers: new Map() }],
      ['files', { kind: 'stdio', command: { file: 'npx', args: ['-y', 'server'] }, env: new Map([['KEY', 'x']]) }],
    ]);
  });

  test('opencode', async () => {
    const content = `{
  "$schema": "https://opencode.ai/config.json",
  "mcp": {
    "everything": {
      "type": "local",
      "command": ["npx", "-y", "@modelcontextprotocol/server-everything", "\${env:KEY}"],
      "environment": { "MY_ENV_VAR": "{env:KEY}", "TEMPLATE": "{env:NONE}" },
      "enabled": true
    },
    "context7": { "type": "remote", "url": "https://mcp.example/mcp", "headers": { "KEY": "{env:KEY}" } },
    "old": { "type": "remote", "url": "https://mcp.example/sse", "enabled": true },
    "off": { "type": "remote", "url": "https://mcp.example/mcp", "enabled": false }
  }
}`;
    const { servers, problems, warnings } = await readContent(content, { env: { KEY: secret } });
    expect([problems, warnings]).toEqual([[], []]);
    expect([...servers]).toEqual([
      [
        'everything',
        {
          kind: 'stdio',
          command: { file: 'npx', args: ['-y', '@modelcontextprotocol/server-everything', secret] },
          env: new Map([
            ['MY_ENV_VAR', secret],
            ['TEMPLATE', '{env:NONE}'],
          ]),
        },
      ],
      ['context7', { kind: 'http', url: 'https://mcp.example/mcp', headers: new Map([['KEY', secret]]) }],
      ['old', { kind: 'sse', url: 'https://mcp.example/sse', headers: new Map() }],
    ]);
  });

  test('Zed', async () => {
    const content = `{
  // settings of the editor
  "theme": "One Dark",
  "context_servers": {
    "local": { "source": "custom", "enabled": true, "command": "some-command", "args": ["arg-1"], "env": { "A": "1" } },
    "remote": { "url": "https://mcp.example/mcp", "headers": { "Authorization": "Bearer x" } },
    "of-old": { "command": { "path": "server", "args": ["--stdio"], "env": null }, "settings": {} },
    "off": { "enabled": false, "command": "x" },
  },
}`;
    const { servers, problems, warnings } = await readContent(content);
    expect([problems, warnings]).toEqual([[], []]);
    expect([...servers]).toEqual([
      ['local', { kind: 'stdio', command: { file: 'some-command', args: ['arg-1'] }, env: new Map([['A', '1']]) }],
      ['remote', { kind: 'http', url: 'https://mcp.example/mcp', headers: new Map([['Authorization', 'Bearer x']]) }],
      ['of-old', { kind: 'stdio', command: { file: 'server', args: ['--stdio'] }, env: new Map() }],
    ]);
  });

  const vsCodeServers = `{
    // comments are fine here
    "github": { "type": "http", "url": "https://api.githubcopilot.com/mcp" },
    "perplexity": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "server-perplexity-ask"],
      "env": { "PERPLEXITY_API_KEY": "\${input:perplexity-key}" },
    },
    "fetch": { "command": "uvx", "args": ["mcp-server-fetch"], "env": { "PORT": 8080, "NO_PROXY": null }, },
  }`;

  test.each([
    [
      'VS Code',
      `{ "inputs": [{ "type": "promptString", "id": "perplexity-key", "description": "API Key", "password": true }],
         "servers": ${vsCodeServers}, }`,
    ],
    ['the settings of VS Code', `{ "editor.fontSize": 14, "mcp": { "inputs": [], "servers": ${vsCodeServers} } }`],
  ])('%s', async (_what, content) => {
    const { servers, problems, warnings } = await readContent(content);
    expect([...servers]).toEqual([
      ['github', { kind: 'http', url: 'https://api.githubcopilot.com/mcp', headers: new Map() }],
      [
        'fetch',
        {
          kind: 'stdio',
          command: { file: 'uvx', args: ['mcp-server-fetch'] },
          env: new Map([['PORT', '8080']]),
        },
      ],
    ]);
    expect(problems.map(({ server, error }) => [server, error.message, error.hints])).toEqual([
      [
        'perplexity',
        'server "perplexity": "env.PERPLEXITY_API_KEY" uses ${input:perplexity-key}, which only an editor can ask for',
        ['use an environment variable instead: ${env:NAME}'],
      ],
    ]);
    expect(warnings).toEqual([]);
  });
});
