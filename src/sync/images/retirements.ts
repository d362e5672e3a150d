/**
 * Replaced kernels and ramdisks: those that other images still lead to stay until these have the new one, so that at no time an image
 * leads to nothing.
 */
import { AllianceError } from '../../core/errors.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { Transfer } from '../../model/transfer.ts';
import { type FinishContext, finish, getIfThere } from './finish.ts';
import { asideName, isOwn, linkKeys } from './image.ts';

const linksOf = ({ properties }: StoredImage): string[] => linkKeys.flatMap((key) => properties.get(key) ?? []);

export class Retirements {
  /** Images, whosever they are, by the ids that they lead to. */
  readonly #leading = new Map<string, StoredImage[]>();
  readonly #postponed: Transfer[] = [];

  readonly #projectId: string;

  constructor(listed: ReadonlyMap<string, StoredImage>, projectId: string) {
    this.#projectId = projectId;
    for (const image of listed.values())
      for (const id of linksOf(image)) this.#leading.set(id, [...(this.#leading.get(id) ?? []), image]);
  }

  /**
   * Whether the old image of a transfer goes at the end of the run instead of now: one that is needed, and one that has itself an old one
   * to wait for.
   */
  readonly postpone = (transfer: Transfer): boolean => {
    const { old } = transfer;
    const needed = old !== null && (this.#leading.has(old.id) || this.#isAwaited(old.id));
    if (needed) this.#postponed.push(transfer);
    return needed;
  };

  isPostponed(transferId: string): boolean {
    return this.#postponed.some(({ id }) => id === transferId);
  }

  /** Ids of images that go at the end of the run. */
  leaving(): ReadonlySet<string> {
    return new Set(this.#postponed.map(({ old }) => old!.id));
  }

  #isAwaited(imageId: string, among: readonly Transfer[] = this.#postponed): boolean {
    return among.some((transfer) => transfer.imageId === imageId);
  }

  /**
   * At the end of the run. What is still needed by an image that the run could not change stays, with its row in the journal; what is
   * needed by one that no sync will change is put aside instead of deleted.
   *
   * @param unchanged ids of images that the run was to change or replace, and has not
   * @returns whether nothing of it is left to do
   */
  async settle(unchanged: ReadonlySet<string>, context: Omit<FinishContext, 'postpone'>): Promise<boolean> {
    const left: Transfer[] = [];
    // In their order, so that one goes before the one that waits for it.
    for (const transfer of this.#postponed)
      try {
        const waits = this.#isAwaited(transfer.old!.id, left);
        if (waits || !(await this.#retire(transfer, unchanged, context))) left.push(transfer);
      } catch (error) {
        if (context.signal.aborted || !(error instanceof AllianceError) || error.errorName === 'sync_running')
          throw error;
        context.note(`The old ${transfer.name} goes with the next run. ${error.message}`);
        left.push(transfer);
      }
    return left.length === 0;
  }

  async #retire(
    transfer: Transfer,
    unchanged: ReadonlySet<string>,
    context: Omit<FinishContext, 'postpone'>,
  ): Promise<boolean> {
    const old = transfer.old!;
    const users: StoredImage[] = [];
    for (const { id } of this.#leading.get(old.id) ?? []) {
      const image = await getIfThere(context.store, id, context.signal);
      if (image && linksOf(image).includes(old.id)) users.push(image);
    }
    const [user] = users;
    if (users.some(({ id }) => unchanged.has(id))) {
      context.note(`The old ${transfer.name} (${old.id}) stays until what still needs it was changed.`);
      return false;
    }
    if (!user) {
      await finish(transfer, context);
      return true;
    }
    const newName = old.newName ?? asideName(old.name, `old.${old.id.slice(0, 8)}`);
    if (old.newName === null)
      context.note(`The old ${transfer.name} is put aside as ${newName}, since ${user.name} (${user.id}) needs it.`);
    const staysVisible = users.some(({ owner }) => !isOwn(owner, this.#projectId));
    await finish({ ...transfer, old: { ...old, newName, staysVisible } }, context);
    return true;
  }
}
