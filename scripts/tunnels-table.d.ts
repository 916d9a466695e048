import type { Capabilities } from '../src/tunnel/capabilities.ts';

export function tunnelsTable(ways: Iterable<Capabilities>): string;
export function withTable(text: string, table: string): string;
