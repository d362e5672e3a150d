/** A service that validates tokens over HTTP, as its middleware does: whoever answers on the port, a Keystone or a facade. */
import { Pool } from 'undici';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';

async function validate(pool: Pool, load: Load, subject: string): Promise<void> {
  const headers = { accept: 'application/json', 'x-auth-token': load.caller ?? '', 'x-subject-token': subject };
  const { statusCode, body } = await pool.request({ method: 'GET', path: '/v3/auth/tokens', headers });
  await body.dump();
  if (statusCode !== 200) throw new Error(`A validation is answered ${statusCode}.`);
}

const open = ({ port }: Load, connections: number): Pool =>
  new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 });

/** One token again and again. */
async function connect(load: Load): Promise<Connection> {
  const pool = open(load, 1);
  return {
    call: (done, fail) => void validate(pool, load, load.token).then(done, fail),
    close: () => void pool.destroy(),
  };
}

/** Each of the tokens once. */
async function once(load: Load, subjects: readonly string[]): Promise<number> {
  const pool = open(load, load.connections);
  const left = [...subjects];
  const worker = async (): Promise<void> => {
    for (let subject = left.pop(); subject !== undefined; subject = left.pop()) await validate(pool, load, subject);
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: load.connections }, worker));
  const perS = (subjects.length * 1000) / (performance.now() - begin);
  await pool.destroy();
  return perS;
}

export const validations: Contender = {
  measure: (load) => (load.subjects ? once(load, load.subjects) : closedLoop(load, connect)),
};
