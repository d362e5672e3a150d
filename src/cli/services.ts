/** `alliance services`, `alliance endpoints` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import type { Partner } from '../model/partner.ts';
import { endpoints } from '../rproxy/endpoints.ts';
import { services } from '../rproxy/services.ts';
import type { Cli } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { formatTable } from './text.ts';

interface Filter {
  readonly type?: string;
  readonly region?: string;
  readonly interface?: string;
}

export function addServices(program: Command, cli: Cli): void {
  for (const { name, summary, example, run } of [
    {
      name: 'services',
      summary: 'list the services that a partner offers',
      example: 'services east --type image',
      run: listServices,
    },
    {
      name: 'endpoints',
      summary: 'list the endpoints of the services that a partner offers',
      example: 'endpoints east --type image --region east-1 --interface public',
      run: listEndpoints,
    },
  ])
    addCommand(program, { usage: `${name} <partner>`, summary, examples: [example] })
      .option('--type <type>', 'type of service, such as image')
      .option('--region <region>', 'region of the partner')
      .option('--interface <interface>', 'public, internal or admin')
      .action((partnerName: string, filter: Filter) =>
        finish(
          cli,
          cli.withPartner(partnerName, (partner, installation) => run(cli, installation, partner, filter)),
        ),
      );
}

async function listServices(cli: Cli, { pool }: Installation, partner: Partner, filter: Filter): Promise<undefined> {
  const all = await services(pool, partner, { type: filter.type });
  // A service is in a region, and has an interface, by its endpoints.
  const narrow = filter.region !== undefined || filter.interface !== undefined;
  const within = narrow ? new Set((await endpoints(pool, partner, filter)).map(({ serviceId }) => serviceId)) : null;
  const found = all.filter(({ id }) => within === null || within.has(id));
  const rows = found.map(({ type, name, id, description }) => [type, name, id, description ?? '-']);
  cli.print({ services: found }, formatTable(['TYPE', 'NAME', 'ID', 'DESCRIPTION'], rows));
  return undefined;
}

async function listEndpoints(cli: Cli, { pool }: Installation, partner: Partner, filter: Filter): Promise<undefined> {
  const found = await endpoints(pool, partner, filter);
  const value = found.map(({ serviceId, serviceType, serviceName, ...rest }) => ({
    ...rest,
    service_id: serviceId,
    service_type: serviceType,
    service_name: serviceName,
  }));
  const rows = found.map((one) => [one.serviceType, one.serviceName, one.region ?? '-', one.interface, one.url]);
  cli.print({ endpoints: value }, formatTable(['TYPE', 'NAME', 'REGION', 'INTERFACE', 'URL'], rows));
  return undefined;
}
