/** `alliance init` */
import type { Command } from 'commander';
import { initHome } from '../broker/init.ts';
import { hostAddresses } from '../broker/installation.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Cli } from './cli.ts';
import { addCommand } from './group.ts';
import { formatFacts, formatTime, isoTime } from './text.ts';
import { collectEndpoints } from './values.ts';

interface Options {
  readonly cloudId?: string;
  readonly advertise?: string[];
  readonly keystoneUrl?: string;
  readonly osCloud?: string;
}

export function addInit(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'init',
    summary: 'make a home directory: key, certificate, configuration, database',
    examples: [
      'init --cloud-id east --advertise tls://alliance.east.example:9443 --keystone-url https://keystone.east.example:5000/v3',
      'init --os-cloud east-admin',
    ],
  })
    .option('--cloud-id <id>', 'name of this cloud among its partners (default: the name of this host)')
    .option('--advertise <endpoint>', 'tls://HOST:PORT that partners dial; may be repeated', collectEndpoints)
    .option('--keystone-url <url>', "URL of this cloud's Keystone, Identity v3")
    .option('--os-cloud <name>', 'entry of clouds.yaml to take the Keystone and its credentials from')
    .action((options: Options) => init(cli, options));
}

async function init(cli: Cli, options: Options): Promise<void> {
  const { home, identity, advertise } = await initHome({ home: cli.home, env: cli.env, ...options });
  const fingerprint = formatFingerprint(identity.fingerprint);
  const value = {
    home,
    cloud_id: identity.cloudId,
    fingerprint,
    certificate_not_after: isoTime(identity.notAfter),
    advertise,
  };
  const steps = [
    options.keystoneUrl === undefined && options.osCloud === undefined
      ? `Tell it of your Keystone: ${home}/alliance.yaml, section keystone.`
      : `Check the credentials for Keystone in ${home}/alliance.yaml.`,
    `${cli.program} config check`,
    `${cli.program} serve`,
    `${cli.program} partner invite`,
  ];
  const addresses = hostAddresses();
  cli.print(value, [
    ...formatFacts([
      ['home', home],
      ['cloud_id', identity.cloudId],
      ['fingerprint', fingerprint],
      ['certificate', `valid till ${formatTime(identity.notAfter)}`],
      ['advertise', advertise],
    ]),
    '',
    'Next:',
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
  ]);
  if (options.advertise === undefined && addresses.length > 0)
    cli.hint(`Partners will dial ${advertise.join(', ')}; this host also has ${addresses.join(', ')}.`);
}
