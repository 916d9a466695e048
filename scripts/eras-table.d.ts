export type Cell = { works: boolean; words?: string } | undefined;

export const pairs: readonly { client: 'legacy' | 'modern'; server: 'legacy' | 'modern' }[];
export const rows: readonly { feature: string; cells: readonly Cell[] }[];
export function withErasTable(text: string): string;
