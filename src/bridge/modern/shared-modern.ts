import { systemClock } from '../../platform/clock.ts';
import { ModernMux } from './modern-mux.ts';
import { OnDemandUpstream, type OnDemandUpstreamOptions } from './on-demand-upstream.ts';

/** One connection to a modern server for all of its clients, made when the first request needs it: see `OnDemandUpstream`. */
export function createSharedModern({ clock = systemClock, ...options }: OnDemandUpstreamOptions): ModernMux {
  const upstream = new OnDemandUpstream({ clock, ...options });
  return new ModernMux({ upstream, clock, onWarning: options.onWarning });
}
