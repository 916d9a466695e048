export function withHelp(text: string): string;
