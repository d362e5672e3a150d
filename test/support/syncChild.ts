/** A process of its own that syncs images, and kills itself at a given point; see syncProcess.ts. */

import { createGlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { openStore } from '../../src/model/store.ts';
import { runSync } from '../../src/sync/images/sync.ts';
import { crashTarget } from './crashTarget.ts';
import { loginOf } from './imageLogin.ts';
import { testKeyring } from './store.ts';
import type { SyncJob } from './syncProcess.ts';

const job = JSON.parse(process.argv[2]!) as SyncJob;
let points = 0;
let bytes = 0;

/** Each call is two points, before and after. */
function point(): void {
  points += 1;
  if (points === job.killAtPoint) process.kill(process.pid, 'SIGKILL');
}

function pointed<T extends object>(target: T): T {
  return new Proxy(target, {
    get(of, key) {
      const member: unknown = Reflect.get(of, key);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        point();
        const result: unknown = member.apply(of, args);
        if (!(result instanceof Promise)) return result;
        return result.finally(point);
      };
    },
  });
}

/** Its uploads count their bytes, too. */
function counted(store: ImageStore): ImageStore {
  async function* count(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of content) {
      const left = (job.killAtByte ?? Number.POSITIVE_INFINITY) - bytes;
      bytes += piece.length;
      if (left > piece.length) yield piece;
      else {
        yield piece.subarray(0, left);
        process.kill(process.pid, 'SIGKILL');
      }
    }
  }
  return { ...store, write: (id, content, size, call) => store.write(id, count(content), size, call) };
}

const regions = createGlanceRegions(loginOf(job.authUrl, job.password));
const [east, west] = [await regions.store('east'), await regions.store('west')];
const projectId = await regions.projectId();
const store = await openStore({ url: job.databaseUrl, keyring: testKeyring });
const report = await runSync(
  {
    master: { name: 'east', key: job.eastKey, store: pointed(east), projectId },
    regions: [{ name: 'west', key: job.westKey, store: pointed(counted(west)), projectId, target: crashTarget }],
    ...{ compat: false, parallel: 1, imagesParallel: job.imagesParallel, bytesPerS: null, maxBytes: null, only: null },
    ...{ approved: true, trigger: 'manual' },
  },
  { store: { ...store, transfers: pointed(store.transfers), executions: pointed(store.executions) } },
);
await store.close();
await regions.close();
process.send!({ state: report.state, points, bytes });
process.disconnect();
