export { expose } from './expose/library.ts';
export type {
  AccessOptions,
  ApprovalCall,
  Exposed,
  ExposeEvent,
  ExposeOptions,
  IdentityProviderReport,
  ListenOptions,
  OnApproval,
  OutputOptions,
  ServerOptions,
  ServerReport,
  TunnelChoice,
  TunnelOptions,
  TunnelReport,
} from './expose/options.ts';
export { ExposeError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { ServerDescription } from './bridge/describe-server.ts';
