/** The `alliance.yaml` that `alliance init` writes: what was asked for, and the keys that most operators need next. */
import { stringify } from 'yaml';

export interface SampleOptions {
  readonly cloudId: string;
  /** Endpoints for partners, in order of preference. */
  readonly advertise?: readonly string[];
  readonly keystoneUrl?: string | undefined;
  readonly osCloud?: string | undefined;
}

/** One value as YAML, quoted where YAML would read something else. */
const scalar = (value: string): string => stringify(value).trimEnd();

function advertiseLines(endpoints: readonly string[]): string[] {
  if (endpoints.length === 0) return ['# advertise: [tls://broker.example:9443]'];
  return ['advertise:', ...endpoints.map((endpoint) => `  - ${scalar(endpoint)}`)];
}

function keystoneLines({ keystoneUrl, osCloud }: SampleOptions): string[] {
  return [
    'keystone:',
    osCloud === undefined ? '  # os_cloud: mycloud' : `  os_cloud: ${scalar(osCloud)}`,
    keystoneUrl === undefined ? '  # auth_url: https://keystone.example:5000/v3' : `  auth_url: ${scalar(keystoneUrl)}`,
    '  # username: alliance',
    '  # password_file: keystone.password',
    '  # project_name: service',
    '  # system_scope: all',
    '  # application_credential_id: ...',
    '  # application_credential_secret_file: keystone.secret',
  ];
}

/** Text of a configuration file that loads as it is. */
export function sampleConfig(options: SampleOptions): string {
  return `${[
    '# Configuration of an Alliance broker. Every key with its default: docs/configuration.md.',
    '# A variable such as ALLIANCE_KEYSTONE__AUTH_URL wins over this file. Check it with: alliance config check',
    '',
    '# Name of this cloud among its partners. It cannot change once there are partners.',
    `cloud_id: ${scalar(options.cloudId)}`,
    '',
    '# Endpoints that partners dial, in order of preference.',
    ...advertiseLines(options.advertise ?? []),
    '',
    '# Where this broker listens. Pairing needs TLS; `off` closes a door.',
    'listen:',
    '  # tls: 0.0.0.0:9443',
    '  # tcp: 127.0.0.1:9441',
    '',
    "# This cloud's Keystone, and the broker's own user there. Role `service` validates tokens and lists revocations; to",
    '# list services and endpoints it needs `admin` on a project, or `reader` on the system (and then system_scope instead of project_name).',
    ...keystoneLines(options),
    '',
    '# What single partners may do, by their cloud_id.',
    'partners:',
    '  # west:',
    '  #   authenticate: true',
    '',
    'log:',
    '  # level: info',
  ].join('\n')}\n`;
}
