import { listOption } from './command-options.ts';
import type { OptionSpec } from './option-spec.ts';
import { parseCount, parseDuration } from './option-values.ts';
import type { EraSettings } from './servers/server-eras.ts';

/** What is said of eras: that of the server, and how clients of the other one are served. */
export const eraOptions: Readonly<Record<keyof EraSettings, OptionSpec>> = {
  upstreamEra: {
    flag: '--upstream-era <era>',
    description: 'what the server speaks: MCP before 2026-07-28 (legacy), or that and later (modern); auto asks it',
    choices: ['auto', 'legacy', 'modern'],
    defaultValue: 'auto',
    needs: { server: 'either-era' },
  },
  strictEra: {
    flag: '--strict-era',
    description: 'refuse clients of the other era instead of translating for them',
  },
  roots: {
    ...listOption(
      '--root <folder>',
      'folder that a legacy server is told of when it asks a modern client for its roots',
    ),
    needs: { translation: true },
  },
  maxChildren: {
    flag: '--max-children <n>',
    description:
      'legacy servers that run for modern clients at once, the last one for another token than the rest (default: 16)',
    parse: parseCount,
    needs: { translation: true },
  },
  parkTtlMs: {
    flag: '--park-ttl <duration>',
    description: 'how long a call of a modern client waits for what the server has asked it (default: 10m)',
    parse: parseDuration,
    needs: { translation: true },
  },
  serializeInteractive: {
    flag: '--serialize-interactive',
    description: 'for modern clients, let a legacy server do one call at a time, so that it is known which call asks',
    needs: { translation: true },
  },
};
