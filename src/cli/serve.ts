/** `alliance serve` */
import type { Command } from 'commander';
import { type Broker, startBroker } from '../broker/broker.ts';
import { formatHostPort, type HostPort } from '../core/endpoint.ts';
import { releaseYoungGeneration } from '../core/youngGeneration.ts';
import { announceBroker } from './brokerFile.ts';
import type { Cli } from './cli.ts';
import { reportFailure } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { parseListen } from './values.ts';

interface Options {
  readonly tls?: HostPort | 'off';
  readonly tcp?: HostPort | 'off';
  readonly http?: HostPort | 'off';
  readonly facade?: HostPort | 'off';
}

export function addServe(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'serve',
    summary: 'run the broker',
    more: `Says where it listens and then "ready" on stdout; the log goes to stderr.
SIGHUP reloads the configuration and says what needs a restart. SIGTERM and SIGINT answer the calls in flight and
end it; a second one ends it at once.`,
    examples: ['serve', 'serve --tls 0.0.0.0:9443 --tcp off --http 127.0.0.1:9480'],
  })
    .option('--tls <address>', 'HOST:PORT for TLS, or off (default: listen.tls)', parseListen)
    .option('--tcp <address>', 'HOST:PORT for plain TCP, or off (default: listen.tcp)', parseListen)
    .option('--http <address>', 'HOST:PORT for health and metrics, or off (default: http.listen)', parseListen)
    .option('--facade <address>', 'HOST:PORT for services of this cloud, or off (default: facade.listen)', parseListen)
    .action((options: Options) => finish(cli, serve(cli, options)));
}

async function serve(cli: Cli, options: Options): Promise<undefined> {
  const wanted = (address: HostPort | 'off' | undefined) => (address === 'off' ? null : address);
  const listen = {
    tls: wanted(options.tls),
    tcp: wanted(options.tcp),
    http: wanted(options.http),
    facade: wanted(options.facade),
  };
  // A log or a supervisor that reads no more of stdout is no reason to leave partners without answers.
  cli.world.outliveReader?.();
  const ended = endOfService();
  const reloads = takeReloads(cli);
  try {
    await run(cli, await startBroker({ home: cli.home, env: cli.env, listen }), ended, reloads);
  } finally {
    reloads.end();
  }
  cli.event({ event: 'stopped' }, 'stopped');
  return undefined;
}

/** From the start of the broker to its end, which comes with a signal or with a failure. */
async function run(cli: Cli, broker: Broker, ended: Promise<NodeJS.Signals>, reloads: Reloads): Promise<void> {
  let withdraw: (() => void) | undefined;
  try {
    withdraw = announceBroker(broker);
    for (const [face, address] of Object.entries(broker.addresses)) tellListener(cli, face, address);
    releaseYoungGeneration();
    reloads.begin(broker);
    cli.event({ event: 'ready', cloud_id: broker.installation.view.cloudId }, 'ready');
    const signal = await ended;
    cli.event({ event: 'stopping', signal }, `${signal}: stopping`);
  } finally {
    await broker.stop();
    withdraw?.();
  }
}

function tellListener(cli: Cli, face: string, address: HostPort | null): void {
  const text = address ? formatHostPort(address) : 'off';
  cli.event({ event: 'listening', face, address: address && text }, `${face.padEnd(6)}  ${text}`);
}

/** The first signal to end; the second one ends the process on the spot. */
function endOfService(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) process.exit(1);
      asked = true;
      resolve(signal);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  });
}

interface Reloads {
  /** From now on signals reload this broker; one that came before does so now. */
  begin(broker: Broker): void;
  end(): void;
}

/** Takes SIGHUP from before the start until after the end: a signal that nobody takes would end the process on the spot. */
function takeReloads(cli: Cli): Reloads {
  let asked = false;
  let running: Broker | undefined;
  const onSignal = () => {
    asked = true;
    if (running) void reloadBroker(cli, running);
  };
  process.on('SIGHUP', onSignal);
  return {
    begin: (broker) => {
      running = broker;
      if (asked) void reloadBroker(cli, broker);
    },
    end: () => process.off('SIGHUP', onSignal),
  };
}

async function reloadBroker(cli: Cli, broker: Broker): Promise<void> {
  try {
    const { applied, needRestart } = await broker.reload();
    const texts = [
      applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply',
      ...(needRestart.length > 0 ? [`needs a restart: ${needRestart.join(', ')}`] : []),
    ];
    cli.event({ event: 'reloaded', applied, need_restart: needRestart }, `reloaded: ${texts.join('; ')}`);
  } catch (thrown) {
    // The broker goes on with the configuration that it has.
    reportFailure(cli, thrown, '');
  }
}
