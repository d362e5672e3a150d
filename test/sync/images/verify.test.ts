import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { ContentProof } from '../../../src/model/transfer.ts';
import { algorithmFor, checkStored, checkStream, isSameContent } from '../../../src/sync/images/verify.ts';
import { refusal } from '../../support/errors.ts';

const content = Buffer.from('content');
const digest = (algorithm: string, of: Buffer = content): string => createHash(algorithm).update(of).digest('hex');
const proof = (more: Partial<ContentProof> = {}): ContentProof => ({
  sizeBytes: content.length,
  checksum: digest('md5'),
  hash: { algorithm: 'sha512', value: digest('sha512') },
  ...more,
});
const streamed = (algorithm = 'sha512', of = content) => ({
  bytes: of.length,
  digests: new Map([[algorithm, digest(algorithm, of)]]),
});

describe('proving of contents', () => {
  it('computes what the source tells, if it can be computed', () => {
    expect(algorithmFor(proof())).to.equal('sha512');
    expect(algorithmFor(proof({ hash: { algorithm: 'sha256', value: 'x' } }))).to.equal('sha256');
    for (const algorithm of ['crc32', 'RSA-SHA1', 'shake128', '__proto__', ''])
      expect(algorithmFor(proof({ hash: { algorithm, value: 'x' } })), algorithm).to.equal('md5');
    expect(algorithmFor(proof({ hash: null, checksum: null }))).to.equal('sha512');
  });

  it('refuses a stream that is not what the source says, by size or hash', () => {
    checkStream(proof(), streamed());
    checkStream(proof({ hash: null }), streamed('md5'));
    checkStream(proof({ hash: null, checksum: null }), streamed());
    refusal(() => checkStream(proof({ sizeBytes: 8 }), streamed()), 'image_mismatch');
    refusal(() => checkStream(proof(), streamed('sha512', Buffer.from('contenT'))), 'image_mismatch');
    refusal(() => checkStream(proof(), streamed('md5', Buffer.from('contenT'))), 'image_mismatch');
  });

  it('refuses what is stored otherwise, saying all three', () => {
    expect(checkStored(proof(), streamed(), proof())).to.equal(true);
    const other = proof({ hash: { algorithm: 'sha512', value: 'ff' } });
    const { details } = refusal(() => checkStored(proof(), streamed(), other), 'image_mismatch');
    expect(details).to.equal(
      `The source says 7 bytes, sha512:${digest('sha512')}; sent were 7 bytes, sha512:${digest('sha512')}; stored are 7 bytes, sha512:ff.`,
    );
    refusal(() => checkStored(proof(), streamed(), proof({ sizeBytes: 6 })), 'image_mismatch');
  });

  it('says so where there is no hash in common', () => {
    expect(checkStored(proof(), streamed(), proof({ hash: { algorithm: 'sha256', value: 'x' } }))).to.equal(null);
    expect(checkStored(proof(), streamed(), proof({ hash: null, checksum: null }))).to.equal(null);
  });

  it('takes for another content what differs in anything that is known of both', () => {
    expect(isSameContent(proof(), proof())).to.equal(true);
    expect(isSameContent(proof({ hash: null }), proof({ checksum: null }))).to.equal(true);
    expect(isSameContent(proof(), proof({ checksum: 'x' }))).to.equal(false);
    expect(isSameContent(proof(), proof({ sizeBytes: 1 }))).to.equal(false);
  });
});
