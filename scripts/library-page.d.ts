export function withReference(text: string): string;
