import { expect } from 'chai';
import { imagePolicyLimits } from '../../src/core/limits.ts';
import { createMetrics, type Metrics } from '../../src/http/metrics.ts';

const linesOf = async (metrics: Metrics): Promise<string[]> =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith('alliance_image_'));

describe('http/imageMetrics', () => {
  it('counts executions, and images and bytes by region and result', async () => {
    const metrics = createMetrics();
    metrics.imageExecutions(1);
    metrics.imageRegion('Burgos');
    metrics.imageTask('Burgos', 'done', 1000);
    metrics.imageTask('Burgos', 'done', 24);
    metrics.imageTask('Burgos', 'failed', 5);
    metrics.imageExecution('partly');
    const lines = await linesOf(metrics);
    expect(lines).to.include.members([
      'alliance_image_executions_running 1',
      'alliance_image_executions_total{result="partly"} 1',
      'alliance_image_executions_total{result="stopped"} 0',
      'alliance_image_tasks_total{region="Burgos",result="done"} 2',
      'alliance_image_tasks_total{region="Burgos",result="skipped"} 0',
      'alliance_image_bytes_total{region="Burgos",result="done"} 1024',
      'alliance_image_bytes_total{region="Burgos",result="failed"} 5',
    ]);
    metrics.imageExecutions(-1);
    expect(await linesOf(metrics)).to.include('alliance_image_executions_running 0');
  });

  it('tells so many regions apart and no more: a partner may have as many as it likes', async () => {
    const metrics = createMetrics();
    const { metricRegions } = imagePolicyLimits;
    for (let n = 0; n < metricRegions + 5; n++) metrics.imageRegion(`east:${n}`);
    metrics.imageTask(`east:${metricRegions + 1}`, 'done', 7);
    metrics.imageTask('east:0', 'done', 3);
    const lines = await linesOf(metrics);
    const regions = new Set(lines.flatMap((line) => /region="([^"]*)"/.exec(line)?.[1] ?? []));
    expect(regions.size).to.equal(metricRegions + 1);
    expect(lines).to.include.members([
      'alliance_image_bytes_total{region="other",result="done"} 7',
      'alliance_image_bytes_total{region="east:0",result="done"} 3',
    ]);
  });
});
