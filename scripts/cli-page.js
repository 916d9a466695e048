// Writes the help of every command into docs/cli.md: `npm run build && npm run docs`. A test holds the page to it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const page = new URL('../docs/cli.md', import.meta.url);
const bin = fileURLToPath(new URL('../bin/mcp-expose.js', import.meta.url));

/** @param {string} text of the page @returns {string} the page with the help as the program prints it now */
export function withHelp(text) {
  return text.replaceAll(/(`mcp-expose ((?:\w+ )?--help)`:\n\n```\n)[^`]*(?=```)/g, (_all, heading, words) => {
    const help = execFileSync(process.execPath, [bin, ...words.split(' ')], { encoding: 'utf8' });
    return `${heading}${help.trimEnd()}\n`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(page, withHelp(readFileSync(page, 'utf8')));
}
