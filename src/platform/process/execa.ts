// The build puts execa itself here (scripts/bundle-packages.js): from a hundred files it takes 70 ms to load, which every
// start would wait for, from one 25 ms. See docs/decisions/dependencies.md.
export { execa } from 'execa';
