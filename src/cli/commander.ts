// The build puts commander itself here (scripts/bundle-packages.js): from its seven files it takes 14 ms to load and 450 KB
// of heap, from one 6 ms and 210 KB. See docs/decisions/dependencies.md.
export { Command, Argument, CommanderError, InvalidArgumentError, Option } from 'commander';
