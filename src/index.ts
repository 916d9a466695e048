export { expose } from './expose/expose.ts';
export type { Exposed, ExposeEvent, ExposeOptions, ServerReport, TunnelChoice, TunnelReport } from './expose/expose.ts';
export { ExposeError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { ServerDescription } from './bridge/describe-server.ts';
