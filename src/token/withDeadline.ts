/** Work of many steps that has so much time in all. */
import { AllianceError } from '../core/errors.ts';

/** The work should look at its signal between its steps. @throws AllianceError keystone_unreachable */
export async function withDeadline<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new AllianceError('keystone_unreachable', { details: `It has not answered within ${ms} ms.` });
      abort.abort(error);
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([work(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
