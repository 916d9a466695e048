import { expect, test } from 'vitest';
import { systemClock } from '../../src/platform/clock.ts';
import type { TunnelSettings } from '../../src/tunnel/create-provider.ts';
import { createHostOverrides } from '../../src/platform/net/host-overrides.ts';
import { withoutUserSettings } from '../../src/tunnel/without-user-settings.ts';
import { tunnelKinds } from '../../src/tunnel/kinds.ts';

const environment = {
  env: {},
  watchdog: { guard() {}, release() {} },
  clock: systemClock,
  overrides: createHostOverrides([]),
};
const common = { environment, agent: 'mcp-expose/0', lanAddresses: ['192.0.2.1'] };
const own = { ssh: 'me@bastion.example:2222', sshKey: '/home/me/.ssh/id', sshRemote: '8080' };
const settings: TunnelSettings = { ...common, ...own, name: 'mine', publicUrl: 'https://mine.example' };

test.each(['ssh', 'sish'] as const)('%s may know the server and the key, but no name and no URL', (kind) => {
  expect(withoutUserSettings(settings, kind)).toEqual({ ...common, ...own });
});

test.each(tunnelKinds.filter((kind) => kind !== 'ssh' && kind !== 'sish'))(
  '%s may know nothing of what was meant for another tunnel',
  (kind) => {
    expect(withoutUserSettings(settings, kind)).toEqual(common);
  },
);
