import { constants, createHmac, createPublicKey, createSecretKey, type KeyObject, sign } from 'node:crypto';
import { expect } from 'chai';
import { CompactSign, compactVerify } from 'jose';
import { signatureLimits } from '../../src/core/limits.ts';
import {
  joinDetached,
  type SignatureAlgorithm,
  type SignatureUse,
  signCompact,
  splitDetached,
  verifyCompact,
} from '../../src/crypto/jws.ts';
import { refusal, rejection } from '../support/errors.ts';
import { type KeyKind, makeKey } from '../support/identity.ts';

const use = 'alliance-request';
const payload = Buffer.from('{"v":1}');
const encode = (text: string | Buffer): string => Buffer.from(text).toString('base64url');
const algorithms: [KeyKind, SignatureAlgorithm][] = [
  ['RSA-3072', 'PS256'],
  ['P-256', 'ES256'],
  ['Ed25519', 'EdDSA'],
];

/** Signs whatever header, as a partner's own software may: the signature itself is always good. */
function signAnyHeader(header: string | Buffer, key: KeyObject, body: string | Buffer = payload): string {
  const input = `${encode(header)}.${encode(body)}`;
  const rsa = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  const details = key.asymmetricKeyType === 'rsa' ? rsa : { dsaEncoding: 'ieee-p1363' as const };
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return `${input}.${encode(sign(digest, Buffer.from(input), { key, ...details }))}`;
}

function replaceSegment(jws: string, index: number, change: (segment: string) => string): string {
  return jws
    .split('.')
    .map((segment, i) => (i === index ? change(segment) : segment))
    .join('.');
}

const flipByte = (segment: string): string => {
  const bytes = Buffer.from(segment, 'base64url');
  bytes[bytes.length >> 1]! ^= 1;
  return bytes.toString('base64url');
};

describe('jws', () => {
  for (const [kind, algorithm] of algorithms)
    describe(algorithm, () => {
      const privateKey = makeKey(kind);
      const key = createPublicKey(privateKey);
      const verify = (jws: string, as: SignatureUse = use) => verifyCompact(jws, { key, algorithm, use: as });
      const refused = async (jws: string) => {
        const error = await rejection(verify(jws), 'ticket_refused');
        expect(error).to.include({ details: undefined, cause: undefined, field: undefined });
      };

      it('signs with a header of exactly alg and typ, and verifies', async () => {
        const jws = await signCompact({ key: privateKey, algorithm, use, payload });
        const header: unknown = JSON.parse(Buffer.from(jws.split('.')[0]!, 'base64url').toString());
        expect(header).to.deep.equal({ alg: algorithm, typ: use });
        expect((await verify(jws)).equals(payload)).to.equal(true);
        await compactVerify(jws, key, { algorithms: [algorithm] });
      });

      it('verifies what other software signs, in either order of members and with spaces', async () => {
        for (const header of [
          `{"alg":"${algorithm}","typ":"${use}"}`,
          `{"typ":"${use}","alg":"${algorithm}"}`,
          `{"alg": "${algorithm}",\n "typ": "${use}"}`,
        ])
          expect((await verify(signAnyHeader(header, privateKey))).equals(payload)).to.equal(true);
        const byJose = await new CompactSign(payload).setProtectedHeader({ typ: use, alg: algorithm }).sign(privateKey);
        expect((await verify(byJose)).equals(payload)).to.equal(true);
      });

      const jwk = JSON.stringify(key.export({ format: 'jwk' }));
      const good = `"alg":"${algorithm}","typ":"${use}"`;
      const headers: [string, string][] = [
        ['no alg', `{"typ":"${use}"}`],
        ['no typ', `{"alg":"${algorithm}"}`],
        ['jwk', `{${good},"jwk":${jwk}}`],
        ['kid', `{${good},"kid":"1"}`],
        ['x5c', `{${good},"x5c":["AA=="]}`],
        ['x5u', `{${good},"x5u":"https://example.org/"}`],
        ['jku', `{${good},"jku":"https://example.org/"}`],
        ['cty', `{${good},"cty":"json"}`],
        ['crit', `{${good},"crit":["exp"],"exp":1}`],
        ['an empty crit', `{${good},"crit":[]}`],
        ['b64 false', `{${good},"b64":false,"crit":["b64"]}`],
        ['b64 true', `{${good},"b64":true}`],
        ['a null member', `{${good},"kid":null}`],
        ['__proto__', `{${good},"__proto__":{}}`],
        ['jwk in place of typ', `{"alg":"${algorithm}","jwk":${jwk}}`],
        ['alg twice', `{"alg":"none",${good}}`],
        ['typ twice', `{"typ":"alliance-pair",${good}}`],
        ['an escaped name', `{"\\u0061lg":"${algorithm}","typ":"${use}"}`],
        ['a space within typ', `{"alg":"${algorithm}","typ":"alliance- request"}`],
        ['typ in another case', `{"alg":"${algorithm}","typ":"Alliance-Request"}`],
        ['typ as a list', `{"alg":"${algorithm}","typ":["${use}"]}`],
        ['typ null', `{"alg":"${algorithm}","typ":null}`],
        ['alg as a list', `{"alg":["${algorithm}"],"typ":"${use}"}`],
        ['alg in another case', `{"alg":"${algorithm.toLowerCase()}","typ":"${use}"}`],
        ['bytes after it', `{${good}}x`],
        ['a byte order mark', `\ufeff{${good}}`],
        ['a list for a header', `["${algorithm}","${use}"]`],
        ['null for a header', 'null'],
        ['no JSON', 'hello'],
      ];
      for (const [what, header] of headers)
        it(`refuses a well-signed header with ${what}`, async () => {
          await refused(signAnyHeader(header, privateKey));
        });

      it('refuses a header that is no UTF-8', async () => {
        await refused(signAnyHeader(Buffer.from(`{${good}}\xff`, 'latin1'), privateKey));
      });

      it('refuses every other algorithm', async () => {
        const others = ['none', 'HS256', 'RS256', 'RS512', 'PS512', 'ES384', 'Ed25519', 'PS256', 'ES256', 'EdDSA'];
        for (const other of others.filter((name) => name !== algorithm))
          await refused(signAnyHeader(`{"alg":"${other}","typ":"${use}"}`, privateKey));
      });

      it('refuses alg none without a signature', async () => {
        const input = `${encode(`{"alg":"none","typ":"${use}"}`)}.${encode(payload)}`;
        await refused(`${input}.`);
        await refused(input);
      });

      it('refuses HS256 with the public key for a secret', async () => {
        for (const alg of ['HS256', algorithm])
          for (const secret of [
            key.export({ type: 'spki', format: 'pem' }),
            key.export({ type: 'spki', format: 'der' }),
          ]) {
            const input = `${encode(`{"alg":"${alg}","typ":"${use}"}`)}.${encode(payload)}`;
            await refused(`${input}.${encode(createHmac('sha256', secret).update(input).digest())}`);
          }
      });

      it('refuses a signature made for another use', async () => {
        for (const other of ['alliance-answer', 'alliance-pair', 'alliance-rotate', 'alliance-checkpoint'] as const) {
          await refused(await signCompact({ key: privateKey, algorithm, use: other, payload }));
          const jws = await signCompact({ key: privateKey, algorithm, use, payload });
          await rejection(verify(jws, other), 'ticket_refused');
        }
      });

      it('refuses the signature of another key', async () => {
        for (const [otherKind] of algorithms.filter(([name]) => name !== 'RSA-3072'))
          await refused(signAnyHeader(`{${good}}`, makeKey(otherKind)));
      });

      it('refuses a pinned algorithm that is not the one of the key', async () => {
        for (const [, other] of algorithms.filter(([, name]) => name !== algorithm)) {
          const jws = signAnyHeader(`{"alg":"${other}","typ":"${use}"}`, privateKey);
          await rejection(verifyCompact(jws, { key, algorithm: other, use }), 'ticket_refused');
        }
        const secret = createSecretKey(Buffer.alloc(32));
        await rejection(
          verifyCompact(signAnyHeader(`{${good}}`, privateKey), { key: secret, algorithm, use }),
          'ticket_refused',
        );
      });

      it('refuses altered segments', async () => {
        const jws = await signCompact({ key: privateKey, algorithm, use, payload });
        for (const index of [0, 1, 2]) {
          await refused(replaceSegment(jws, index, flipByte));
          await refused(replaceSegment(jws, index, () => ''));
          await refused(replaceSegment(jws, index, (segment) => segment.slice(0, -4)));
          await refused(replaceSegment(jws, index, (segment) => `${segment}AAAA`));
        }
        await refused(
          replaceSegment(jws, 2, (segment) => encode(Buffer.alloc(Buffer.from(segment, 'base64url').length))),
        );
      });

      it('refuses every other spelling of a good signature', async () => {
        // A payload and signatures whose last characters have unused bits.
        const jws = await signCompact({ key: privateKey, algorithm, use, payload: Buffer.from('{"v":12}') });
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const twin = (segment: string): string =>
          segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.at(-1)!) ^ 1];
        expect(Buffer.from(twin('AA'), 'base64url').equals(Buffer.from('AA', 'base64url'))).to.equal(true);
        await refused(replaceSegment(jws, 1, twin));
        await refused(replaceSegment(jws, 2, twin));
        for (const index of [0, 1, 2])
          for (const spoil of ['=', '==', ' ', '\n', '%', '!', '\0'])
            await refused(replaceSegment(jws, index, (segment) => segment + spoil));
        const standard = (segment: string): string => segment.replaceAll('-', '+').replaceAll('_', '/');
        const inStandardAlphabet = replaceSegment(jws, 2, standard);
        if (inStandardAlphabet !== jws) await refused(inStandardAlphabet);
        for (const text of [
          ` ${jws}`,
          `${jws}\n`,
          `${jws}.`,
          `.${jws}`,
          `${jws}.AAAA`,
          jws.replace('.', '..'),
          '',
          '..',
        ])
          await refused(text);
      });

      it('refuses what is too long, however well signed', async () => {
        const large = Buffer.alloc(signatureLimits.compactBytes, 0x20);
        await refused(await signCompact({ key: privateKey, algorithm, use, payload: large }));
        const rotation = await signCompact({ key: privateKey, algorithm, use: 'alliance-rotate', payload: large });
        expect((await verify(rotation, 'alliance-rotate')).equals(large)).to.equal(true);
        const huge = Buffer.alloc(signatureLimits.rotationBytes, 0x20);
        const tooLarge = await signCompact({ key: privateKey, algorithm, use: 'alliance-rotate', payload: huge });
        await rejection(verify(tooLarge, 'alliance-rotate'), 'ticket_refused');
      });
    });

  it('refuses an RS256 signature, also under the name of PS256', async () => {
    const privateKey = makeKey('RSA-3072');
    for (const alg of ['RS256', 'PS256']) {
      const input = `${encode(`{"alg":"${alg}","typ":"${use}"}`)}.${encode(payload)}`;
      const jws = `${input}.${encode(sign('sha256', Buffer.from(input), privateKey))}`;
      await rejection(
        verifyCompact(jws, { key: createPublicKey(privateKey), algorithm: 'PS256', use }),
        'ticket_refused',
      );
    }
  });

  it('refuses an ES256 signature in DER', async () => {
    const privateKey = makeKey('P-256');
    const input = `${encode(`{"alg":"ES256","typ":"${use}"}`)}.${encode(payload)}`;
    const jws = `${input}.${encode(sign('sha256', Buffer.from(input), privateKey))}`;
    await rejection(
      verifyCompact(jws, { key: createPublicKey(privateKey), algorithm: 'ES256', use }),
      'ticket_refused',
    );
  });

  it('signs while the event loop goes on', async () => {
    const key = makeKey('RSA-3072');
    let turns = 0;
    let signing = true;
    const count = () => {
      turns += 1;
      if (signing) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(Array.from({ length: 8 }, () => signCompact({ key, algorithm: 'PS256', use, payload })));
    signing = false;
    // Eight synchronous signatures would let it turn at most once each.
    expect(turns).to.be.greaterThan(20);
  });

  it('splits into the detached form and joins again', () => {
    expect(splitDetached('aa.bb.cc')).to.deep.equal({ payload: 'bb', signature: 'aa..cc' });
    expect(joinDetached('bb', 'aa..cc')).to.equal('aa.bb.cc');
  });

  it('refuses to split or join anything else', () => {
    for (const jws of ['', 'aa.bb', 'aa..cc', '.bb.cc', 'aa.bb.', 'aa.bb.cc.dd'])
      refusal(() => splitDetached(jws), 'ticket_refused');
    for (const signature of ['', '..', 'aa..', '..cc', 'aa.cc', 'aa.xx.cc', 'aa...cc', 'aa..cc.dd'])
      refusal(() => joinDetached('bb', signature), 'ticket_refused');
    for (const body of ['', 'b.b']) refusal(() => joinDetached(body, 'aa..cc'), 'ticket_refused');
  });
});
