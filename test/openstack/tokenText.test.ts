/** The texts of tokens that real Keystones issue, and those that they take. */
import { expect } from 'chai';
import { isIssuedForm } from '../../src/token/routing/qualified.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { lendKeystone } from './support.ts';

describe('texts of tokens of a real Keystone', () => {
  for (const provider of ['fernet', 'jws'] as const)
    it(`${provider}: those that it issues are accepted, and no other spelling that it takes`, async () => {
      const keystone = await lendKeystone({ region: `text-${provider}`, provider });
      try {
        const api = createKeystoneApi(keystone.url);
        const logins = [
          passwordLogin('admin', keystone.adminPassword),
          passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }),
        ];
        const taken: string[] = [];
        for (const login of logins) {
          const token = await api.login(login);
          expect(isIssuedForm(token), token).to.equal(true);
          const admin = await api.login(logins[1]!);
          for (const other of [`${token}====`, `....${token}`, `${token.slice(0, 10)}....${token.slice(10)}`]) {
            expect(isIssuedForm(other), other).to.equal(false);
            if ((await api.call('GET', '/auth/tokens', { token: admin, subject: other })).status === 200)
              taken.push(other);
          }
        }
        // The reason for it all.
        if (provider === 'fernet') expect(taken).not.to.deep.equal([]);
      } finally {
        await keystone.stop();
      }
    });
});
