/** What a Glance must do for this broker; the same for the embedded one and for a real one. */
import { randomUUID } from 'node:crypto';
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageAttributes, ImageStore, StoredImage } from '../../src/lproxy/imageStore.ts';
import { describeGlanceContent } from './glanceContractContent.ts';
import { describeGlanceImages } from './glanceContractImages.ts';
import { describeGlanceListing } from './glanceContractListing.ts';
import { describeGlanceRegions } from './glanceContractRegions.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin, type RunningKeystone } from './keystoneApi.ts';

/** A Glance that runs, real or sandbox, registered in the catalog of its Keystone. */
export interface RunningGlance {
  readonly keystone: RunningKeystone;
  readonly region: string;
  /** Of its endpoint. */
  readonly url: string;
  /** Ends both. */
  stop(): Promise<void>;
}

export interface GlanceUser {
  readonly name: string;
  readonly password: string;
  readonly projectId: string;
  readonly regions: GlanceRegions;
  readonly store: ImageStore;
}

export interface GlanceBench {
  readonly glance: RunningGlance;
  readonly api: KeystoneApi;
  /** Token of the administrator for the project admin. */
  readonly admin: string;
  /** A user with a role in a project of its own. */
  newUser(role?: string): Promise<GlanceUser>;
}

export const plainImage = (values: Partial<ImageAttributes> = {}): ImageAttributes => ({
  name: `image-${randomUUID()}`,
  visibility: 'private',
  diskFormat: 'raw',
  containerFormat: 'bare',
  minDiskGib: 0,
  minRamMib: 0,
  protected: false,
  hidden: false,
  tags: [],
  properties: new Map(),
  ...values,
});

export async function* pieces(...parts: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

export async function readAll(store: ImageStore, id: string, offset = 0): Promise<Buffer> {
  const read: Buffer[] = [];
  for await (const piece of store.read(id, offset)) read.push(Buffer.from(piece));
  return Buffer.concat(read);
}

/** An image that is active. */
export async function newImage(
  store: ImageStore,
  content: string | Buffer,
  values?: Partial<ImageAttributes>,
): Promise<StoredImage> {
  const { id } = await store.create(randomUUID(), plainImage(values));
  return store.write(id, pieces(content), Buffer.byteLength(content));
}

export async function listAll(store: ImageStore): Promise<StoredImage[]> {
  const all: StoredImage[] = [];
  for await (const page of store.list()) all.push(...page);
  return all;
}

async function newUser(bench: Omit<GlanceBench, 'newUser'>, role: string): Promise<GlanceUser> {
  const { api, admin, glance } = bench;
  const name = `user-${randomUUID()}`;
  const password = `secret-of-${name}`;
  const project = await api.create(admin, 'project', { name: `project-of-${name}`, domain_id: 'default' });
  const user = await api.create(admin, 'user', { name, password, domain_id: 'default' });
  await api.grant(admin, project.id, user.id, role);
  const regions = createGlanceRegions({
    authUrl: glance.keystone.url,
    credentials: { method: 'password', user: { name, domain: { id: 'default' } }, password },
    scope: { project: { id: project.id } },
  });
  return { name, password, projectId: project.id, regions, store: await regions.store(glance.region) };
}

export function describeGlance(name: string, open: () => Promise<RunningGlance>): void {
  describe(name, () => {
    let bench: GlanceBench | undefined;
    const opened: GlanceRegions[] = [];
    const current = (): GlanceBench => bench!;

    before(async function () {
      this.timeout(240_000);
      const glance = await open();
      const api = createKeystoneApi(glance.keystone.url);
      const admin = await api.login(
        passwordLogin('admin', glance.keystone.adminPassword, { project: inDefault('admin') }),
      );
      const rest = { glance, api, admin };
      bench = {
        ...rest,
        newUser: async (role = 'member') => {
          const user = await newUser(rest, role);
          opened.push(user.regions);
          return user;
        },
      };
    });
    after(async () => {
      await Promise.all(opened.map((regions) => regions.close()));
      await bench?.glance.stop();
    });

    describeGlanceImages(current);
    describeGlanceContent(current);
    describeGlanceListing(current);
    describeGlanceRegions(current);
  });
}
