/** Addresses from which a hosted client connects, as its vendor publishes them. */
export interface AddressPreset {
  readonly ranges: readonly string[];
  /** The day on which they were last compared with the source. */
  readonly asOf: string;
}

/**
 * Presets of `--allow-ip`. Only ranges that their vendor keeps stable are here.
 *
 * `anthropic`: https://platform.claude.com/docs/en/api/ip-addresses, "Outbound IP addresses", of which calls of MCP tools are made.
 * The inbound addresses there are those of the API itself.
 */
export const addressPresets: ReadonlyMap<string, AddressPreset> = new Map([
  ['anthropic', { ranges: ['160.79.104.0/21'], asOf: '2026-11-28' }],
]);
