/** Whether a URL leads to the facade of a broker. */
import { Agent, request } from 'undici';
import { facadeLimits } from '../core/limits.ts';
import { codeOf, facadeHeader } from './keystoneHttp.ts';

export type FacadeProbe =
  | { readonly kind: 'facade' | 'other'; readonly status: number }
  | { readonly kind: 'unreachable'; readonly why: string };

export interface ProbeOptions {
  /** Authorities to trust instead of the system's, PEM. */
  readonly cacert?: string | undefined;
  /** Whether any certificate will do. */
  readonly insecure?: boolean;
}

/** Asks once, without any credentials. `url` is http or https. */
export async function probeFacade(url: string, { cacert, insecure = false }: ProbeOptions = {}): Promise<FacadeProbe> {
  const connect = { timeout: facadeLimits.callerTimeoutMs, rejectUnauthorized: !insecure };
  const dispatcher = new Agent({ connect: { ...connect, ...(cacert !== undefined && { ca: cacert }) } });
  const signal = AbortSignal.timeout(facadeLimits.callerTimeoutMs);
  try {
    const answer = await request(url, { dispatcher, signal, headers: { accept: 'application/json' } });
    answer.body.on('error', () => undefined).destroy();
    const kind = answer.headers[facadeHeader] === undefined ? 'other' : 'facade';
    return { kind, status: answer.statusCode };
  } catch (thrown) {
    return { kind: 'unreachable', why: codeOf(thrown) };
  } finally {
    await dispatcher.destroy();
  }
}
