// trivial-child.js as a server of MCP 2026-07-28 alone.
process.env['TRIVIAL_ERA'] = 'modern';
await import('./trivial-child.js');
