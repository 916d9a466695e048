/** Longest name from outside that is shown, in characters. */
const maxShownLength = 80;

/** One word or URL, which cannot be taken for the words around it. */
const word = new RegExp(String.raw`^[\w./:@+%?=&#~[\]-]{1,${maxShownLength}}$`);

/** What a client or a server has chosen, in quotes, which it cannot leave: it may look like the words that follow it. */
export function quoted(text: string): string {
  return visible(JSON.stringify(shortened(text).replaceAll(/["\u201C-\u201F]/g, "'")));
}

/** The same, without quotes for a single word or a URL. */
export function named(text: string): string {
  return word.test(text) ? text : quoted(text);
}

export function shortened(text: string): string {
  return text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text;
}

/**
 * What a terminal does not show, or shows as a blank though it is none: controls, formats, separators, fillers such as U+3164 and
 * variation selectors (Unicode, UAX #44, Default_Ignorable_Code_Point), and the empty Braille pattern.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** With what is invisible as an escape of JSON: whoever decides should see that it is there. */
export function visible(json: string): string {
  return json.replaceAll(invisible, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charCodeAt(at))).join(''),
  );
}

function escaped(unit: number): string {
  return String.raw`\u${unit.toString(16).padStart(4, '0')}`;
}
