import { stripVTControlCharacters } from 'node:util';

/**
 * Words of others for our terminal: no colours, no cursor movements, no bells, no text that runs backwards.
 * Tabs stay, line breaks do not.
 */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/(?!\t)\p{Cc}|\p{Bidi_Control}/gu, '');
}
