/** Real pipes and devices: what would hang or fill the memory is refused, what a shell gives us is read. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { expect } from 'chai';
import { readAnyFile, readLines, readRegularFile, whyUnread } from '../../src/core/boundedFile.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';

const short = { writerMs: 50, silenceMs: 50 };

describe('boundedFile', () => {
  let directory: TemporaryDirectory;
  let pipe: string;
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  beforeEach(() => {
    directory = temporaryDirectory();
    pipe = directory.file('pipe');
    execFileSync('/usr/bin/mkfifo', [pipe]);
  });
  afterEach(() => directory.remove());

  const why = async (work: () => unknown): Promise<string> => {
    try {
      await work();
    } catch (error) {
      return whyUnread(error);
    }
    return 'read';
  };
  const file = (content: string | Buffer): string => {
    writeFileSync(directory.file('file'), content, { mode: 0o640 });
    return directory.file('file');
  };
  const linesOf = async (path: string, mostBytes = 10): Promise<string[]> => {
    const lines: string[] = [];
    for await (const line of readLines(path, mostBytes)) lines.push(line);
    return lines;
  };
  /** Both ways to read it. */
  const whole = async (path: string, mostBytes: number): Promise<readonly [string, string]> => [
    readRegularFile(path, mostBytes).text,
    await readAnyFile(path, mostBytes),
  ];

  it('reads a file up to its bound, and none beyond it', async () => {
    for (const text of ['', 'a', 'äöü', 'x'.repeat(1024)])
      expect(await whole(file(text), 1024)).to.deep.equal([text, text]);
    const path = file('x'.repeat(1025));
    expect(await why(() => readRegularFile(path, 1024))).to.equal('larger than 1 KiB');
    expect(await why(() => readAnyFile(path, 1024))).to.equal('larger than 1 KiB');
    expect(readRegularFile(path, 2048).mode & 0o777).to.equal(0o640);
  });

  it('counts what it reads, not what a file says of its size', async () => {
    const [sync, async] = await whole('/proc/self/status', 64 * 1024);
    expect(sync).to.match(/^Name:/);
    expect(async).to.match(/^Name:/);
    expect(await why(() => readRegularFile('/proc/self/status', 16))).to.match(/^larger/);
  });

  it('what has to be a regular file is no pipe, device or directory, but may be behind a link', async () => {
    mkdirSync(directory.file('folder'));
    for (const path of [pipe, '/dev/zero', '/dev/null', directory.file('folder')]) {
      expect(await why(() => readRegularFile(path, 1024)), path).to.equal('no regular file');
    }
    expect(await why(() => readRegularFile(directory.file('none'), 1024))).to.equal('ENOENT');
    symlinkSync(file('linked'), directory.file('link'));
    expect(readRegularFile(directory.file('link'), 1024).text).to.equal('linked');
  });

  it('a device without end is too large, one without content is empty, a directory is none', async () => {
    expect(await why(() => readAnyFile('/dev/zero', 100_000))).to.match(/^larger than/);
    expect(await readAnyFile('/dev/null', 1024)).to.equal('');
    expect(await why(() => readAnyFile(directory.path, 1024))).to.equal('EISDIR');
    expect(await why(() => linesOf('/dev/zero', 100_000))).to.match(/^a line of it is longer than/);
  });

  it('reads a pipe to its end, however slowly it comes', async () => {
    const writer = spawn('sh', ['-c', `exec > '${pipe}'; printf 'one '; sleep 0.1; printf 'two'`]);
    expect(await readAnyFile(pipe, 1024)).to.equal('one two');
    writer.kill();
  });

  it('gives up a pipe that nobody writes to, and one out of which nothing comes', async () => {
    expect(await why(() => readAnyFile(pipe, 1024, short))).to.equal('nobody writes to it');
    const idle = await open(pipe, 'r+');
    try {
      expect(await why(() => readAnyFile(pipe, 1024, short))).to.equal('nothing comes out of it');
      await idle.write('x'.repeat(2000));
      expect(await why(() => readAnyFile(pipe, 1024, short))).to.equal('larger than 1 KiB');
    } finally {
      await idle.close();
    }
  });

  it('gives lines, with any line end, also the last one without; none is too long', async () => {
    expect(await linesOf(file('a\n\nb\r\nc d\u2028e\nlast'))).to.deep.equal(['a', '', 'b', 'c d\u2028e', 'last']);
    expect(await linesOf(file(''))).to.deep.equal([]);
    expect(await linesOf(file(`${'x'.repeat(10)}\n`))).to.deep.equal(['x'.repeat(10)]);
    expect(await why(() => linesOf(file(`${'x'.repeat(2048)}\n`), 1024))).to.equal('a line of it is longer than 1 KiB');
    const long = 'ä'.repeat(100_000);
    expect(await linesOf(file(`${long}\n${long}`), 200_000)).to.deep.equal([long, long]);
  });
});
