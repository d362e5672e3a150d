/** The files of etc/ that operators copy: each is right for the code beside it. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../src/core/config.ts';
import { isConfigSection } from '../../src/core/configKeys.ts';
import { createMetrics, type Metrics } from '../../src/http/metrics.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { projectPath } from '../support/project.ts';

const read = (name: string): string => readFileSync(projectPath('etc', name), 'utf8');

/** Every metric of ours, with the labels that a rule may name. */
const metrics: ReadonlyMap<string, readonly string[]> = new Map([
  ['alliance_calls_total', ['method', 'direction', 'outcome']],
  ['alliance_call_duration_seconds_bucket', ['method', 'direction', 'le']],
  ['alliance_channels', ['direction']],
  ['alliance_handshakes_total', ['direction', 'outcome']],
  ['alliance_refusals_total', ['reason']],
  ['alliance_keystone_calls_total', ['operation', 'outcome']],
  ['alliance_keystone_call_duration_seconds_bucket', ['operation', 'le']],
  ['alliance_facade_requests_total', ['route', 'status']],
  ['alliance_facade_request_duration_seconds_bucket', ['route', 'le']],
  ['alliance_foreign_answers_total', ['outcome', 'source']],
  ['alliance_certificate_expiry_days', []],
  ['alliance_trust_expiry_days', ['partner']],
  ['alliance_partners', ['state']],
  ['alliance_revocations_unconfirmed_seconds', ['partner']],
  ['alliance_database_up', []],
  ['alliance_database_bytes', []],
  ['alliance_keystone_up', []],
  ['alliance_audit_whole', []],
  ['alliance_image_executions_running', []],
  ['alliance_image_executions_total', ['result']],
  ['alliance_image_tasks_total', ['region', 'result']],
  ['alliance_image_bytes_total', ['region', 'result']],
]);

/** Samples of a scrape, by name and labels as it writes them. */
async function samplesOf(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

describe('etc', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  it('alliance.yaml loads, and has every section', () => {
    writeFileSync(home.file('alliance.yaml'), read('alliance.yaml'));
    writeFileSync(home.file('keystone.password'), 'secret\n');
    const config = loadConfig({ home: home.path, env: {} });
    expect(config).to.include({ cloudId: 'east' });
    expect(config.keystone).to.include({ username: 'alliance', password: 'secret' });
    const sections = Object.keys(config).filter((key) => isConfigSection([key]));
    expect(Object.keys(parse(read('alliance.yaml')))).to.include.members(sections.filter((key) => key !== 'identity'));
  });

  it('alliance.service keeps secrets out of core dumps, the broker in its directory, and lets it list the addresses of its host', () => {
    const lines = read('alliance.service').split('\n');
    for (const line of ['LimitCORE=0', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'UMask=0077'])
      expect(lines).to.include(line);
    expect(lines).to.include.members(['ExecReload=/bin/kill -HUP $MAINPID', 'StateDirectory=alliance']);
    const families = lines.find((line) => line.startsWith('RestrictAddressFamilies='))?.split(/[= ]/);
    // Node lists the addresses of this host over netlink; without it no connection to a partner would pass the dial policy.
    expect(families).to.have.members(['RestrictAddressFamilies', 'AF_INET', 'AF_INET6', 'AF_UNIX', 'AF_NETLINK']);
    const [, start] = lines.find((line) => line.startsWith('ExecStart='))?.split('=') ?? [];
    expect(start).to.equal('/usr/bin/env alliance --home /var/lib/alliance serve');
  });

  const { groups } = parse(read('alliance.rules.yml')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);

  it('alert rules name only metrics and labels that exist, and each metric is watched', () => {
    const named = rules.flatMap(({ expr }) => expr.match(/alliance_\w+/g) ?? []);
    expect(new Set(named)).to.deep.equal(new Set(metrics.keys()));
    const labels = rules.flatMap(({ expr }) => [...expr.matchAll(/(alliance_\w+)\{(\w+)/g)]);
    expect(labels.length).to.be.greaterThan(3);
    for (const [, metric = '', label = ''] of labels) expect(metrics.get(metric), metric).to.include(label);
  });

  it('names metrics that a scrape has', async () => {
    const scrape = await createMetrics().text();
    const scraped = [...scrape.matchAll(/^# TYPE (alliance_\w+) (\w+)$/gm)].map(([, name, type]) =>
      type === 'histogram' ? `${name}_bucket` : name,
    );
    expect(scraped).to.have.members([...metrics.keys()]);
  });

  it('a broker counts from its start on whatever it refuses, so that an alert sees the first one', async () => {
    const sources = readdirSync(projectPath('src'), { recursive: true, encoding: 'utf8' });
    const reasons = sources
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(projectPath('src', name), 'utf8'))
      .flatMap((text) => [...text.matchAll(/refusal\('(\w+)'\)|\? '(plain_\w+|unconfirmed|channel_idle)'/g)])
      .map(([, told, over]) => told ?? over);
    expect(reasons).to.include.members([
      'replay',
      'tls',
      'connections',
      'plain_idle',
      'channel_idle',
      'checkpoint',
      'token_key_known',
    ]);
    const scrape = await samplesOf(createMetrics());
    for (const reason of reasons) expect(scrape.get(`alliance_refusals_total{reason="${reason}"}`), reason).to.equal(0);
  });

  it('alert rules fire on the first event in the life of a broker', async function () {
    if (spawnSync('promtool', ['--version']).error) return this.skip();
    const metrics = createMetrics();
    const before = await samplesOf(metrics);
    metrics.refusal('replay');
    const after = await samplesOf(metrics);
    const series = [...after].map(([name, value]) => ({
      series: name,
      values: `${before.get(name) ?? '_'}x20 ${value}x20`,
    }));
    const active = { series: 'alliance_partners{state="active"}', values: '1x40' };
    const test = {
      name: 'what a broker exports at first, and after one replay',
      interval: '1m',
      input_series: [...series, active],
      promql_expr_test: ['AllianceReplay', 'AllianceNoChannels'].map((alertname) => ({
        expr: `count(ALERTS{alertname="${alertname}", alertstate="firing"})`,
        eval_time: alertname === 'AllianceReplay' ? '22m' : '31m',
        exp_samples: [{ value: 1 }],
      })),
    };
    const file = home.file('fresh.test.yml');
    writeFileSync(
      file,
      stringify({ rule_files: [projectPath('etc/alliance.rules.yml')], evaluation_interval: '1m', tests: [test] }),
    );
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    expect(status, stdout + stderr).to.equal(0);
  });

  it('alert rules say what happened and what to do, and each is tested', () => {
    const tested = read('alliance.rules.test.yml');
    for (const { alert, annotations, labels } of rules) {
      expect(annotations, alert).to.have.all.keys('summary', 'description');
      expect(labels.severity, alert).to.be.oneOf(['critical', 'warning', 'info']);
      expect(tested).to.match(new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:`));
    }
  });

  it('alert rules fire and stay silent as promtool finds', function () {
    if (spawnSync('promtool', ['--version']).error) return this.skip();
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'alliance.rules.test.yml'], {
      cwd: projectPath('etc'),
      encoding: 'utf8',
    });
    expect(status, stdout + stderr).to.equal(0);
  });
});
