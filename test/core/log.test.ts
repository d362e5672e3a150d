import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { createLogger, isSecretName, type LogLevel, silentLogger, withoutSecrets } from '../../src/core/log.ts';

/** A logger and the lines that it wrote, parsed. */
function listening(level: LogLevel = 'info') {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { logger, text: () => lines.join(''), entries: () => lines.map((line) => JSON.parse(line)) };
}

describe('log', () => {
  it('writes one JSON object a line, with level and time in words', () => {
    const { logger, entries } = listening();
    logger.info({ partner: 'east' }, 'attached');
    const [entry] = entries();
    expect(entry).to.include({ level: 'info', partner: 'east', msg: 'attached' });
    expect(Date.parse(entry.time)).to.be.closeTo(Date.now(), 60_000);
  });

  it('writes nothing below its level', () => {
    const { logger, text } = listening('warn');
    logger.info('no');
    logger.warn('yes');
    expect(text()).to.include('yes').and.not.include('no"');
    expect(silentLogger.isLevelEnabled('fatal')).to.equal(false);
  });

  const secrets = [
    'password',
    'X-Auth-Token',
    'x-subject-token',
    'adminPass_word',
    'client_secret',
    'keyPem',
    'tokens',
  ];
  secrets.push('Authorization', 'set-cookie', 'passphrase', 'hmac');
  secrets.push('passwd', 'DB_PWD', 'adminPass', 'credential', 'Credentials', 'memcache_secret_key', 'X-API-Key');
  for (const name of secrets)
    it(`takes ${name} out at every depth`, () => {
      const { logger, text } = listening();
      const hidden = { [name]: 'hunter2' };
      logger.info(hidden);
      logger.info({ a: { b: [{ c: hidden }] }, map: new Map([['x', hidden]]) });
      logger.info({ whole: { [name]: { value: 'hunter2' } } });
      logger.child(hidden).child({ a: hidden }).info('child of a child');
      expect(isSecretName(name)).to.equal(true);
      expect(text()).to.include('[redacted]').and.not.include('hunter2');
    });

  it('keeps what only sounds like a secret', () => {
    const entry = {
      tokenBytes: 5,
      passedAt: 5,
      credentialId: 'c1',
      partner: 'east',
      password: undefined,
      secret: null,
      token: true,
    };
    expect(withoutSecrets(entry)).to.deep.equal(entry);
  });

  it('shows bytes as their length, big integers and times as text, and ends at cycles', () => {
    const cycle: Record<string, unknown> = {
      bytes: Buffer.from('hunter2'),
      big: 5n,
      at: new Date(0),
    };
    cycle.self = cycle;
    const { logger, text } = listening();
    logger.info(cycle);
    expect(text()).to.include('[7 bytes]').and.include('"5"').and.include('1970-01-01').and.include('[deeper]');
    expect(text()).not.to.include('hunter2');
  });

  it('writes an error with its causes, and nothing that a library hung on it', () => {
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', headers: ['hunter2'] });
    const { logger, entries, text } = listening();
    logger.error(new AllianceError('unreachable', { cause, field: 'endpoint', requestId: 'r1', remote: true }), 'dial');
    logger.error({ err: cause, partner: 'east' });
    const [first, second] = entries();
    expect(first.err).to.include({ type: 'unreachable', code: 1004, field: 'endpoint', requestId: 'r1', remote: true });
    expect(first.err.cause).to.include({ type: 'Error', code: 'ECONNREFUSED', message: 'refused' });
    expect(second.err.stack).to.include('log.test');
    expect(text()).not.to.include('hunter2');
  });

  it('writes stacks only of what nobody foresaw', () => {
    const { logger, entries } = listening();
    logger.info({ err: new AllianceError('ticket_refused', { cause: new AllianceError('clock_skew') }) });
    logger.error({ err: new AllianceError('internal', { cause: new TypeError('x') }) });
    const [expected, unforeseen] = entries();
    expect(expected.err).to.include({ type: 'ticket_refused', code: 1103 }).and.not.have.any.keys('stack');
    expect(expected.err.cause).to.include({ type: 'clock_skew' }).and.not.have.any.keys('stack');
    expect(unforeseen.err.stack).to.include('log.test');
    expect(unforeseen.err.cause.stack).to.include('log.test');
  });
});
