/**
 * An optional peer dependency that is not installed when this package is built (docs/decisions/dependencies.md). It is written
 * in CommonJS.
 */
declare module '@ngrok/ngrok' {
  import type { NgrokSdk } from './sdk.ts';

  const sdk: NgrokSdk;
  export = sdk;
}
