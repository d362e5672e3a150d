import { createTestFile, type TestFile } from '../support/store.ts';
import { describeStore } from './store.contract.ts';

let file: TestFile | undefined;

describeStore('SQLite', {
  open: (clock) => {
    file ??= createTestFile();
    return file.open({ clock });
  },
  reset: async () => {
    await file?.remove();
    file = undefined;
  },
});
