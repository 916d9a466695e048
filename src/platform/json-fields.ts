/** The fields of a JSON object whose form nobody guarantees. */
export type Fields = Readonly<Record<string, unknown>>;

/** The fields of an object; none of any other value. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** The fields of the JSON object that a text is; none of any other text. */
export function parseFields(text: string): Fields {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return {};
  }
}
